#include "engine/text/chat_output.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace forge {
namespace {

// An answer, told apart: "content|reasoning|calls", and the pieces in order.
struct Told {
  std::string content, reasoning, calls, pieces;
  friend bool operator==(const Told&, const Told&) = default;
};

std::ostream& operator<<(std::ostream& out, const Told& told) {
  return out << "content '" << told.content << "', reasoning '" << told.reasoning << "', calls '"
             << told.calls << "', pieces " << told.pieces;
}

Told Read(const std::string& answer, const ChatOutputOptions& options, size_t n_bytes_each) {
  ChatOutputParser parser(options);
  Told told;
  std::vector<TextPiece> pieces;
  const auto keep = [&pieces](TextPiece piece) {
    if (piece.text.empty()) return;
    if (pieces.empty() || pieces.back().kind != piece.kind) pieces.push_back({piece.kind, {}});
    pieces.back().text += piece.text;
  };
  for (size_t i = 0; i < answer.size(); i += n_bytes_each) {
    parser.Add(answer.substr(i, n_bytes_each));
    keep(parser.Take());
  }
  parser.Finish();
  for (TextPiece piece = parser.Take(); !piece.text.empty(); piece = parser.Take())
    keep(std::move(piece));
  told.content = parser.content();
  told.reasoning = parser.reasoning();
  for (const ToolCall& call : parser.tool_calls())
    told.calls += call.id + ":" + call.name + call.arguments_json + ";";
  for (const TextPiece& piece : pieces)
    told.pieces += std::string(1, "CRT"[static_cast<size_t>(piece.kind)]) + "(" + piece.text + ")";
  return told;
}

// The same however the text is cut into tokens.
Told Read(const std::string& answer, const ChatOutputOptions& options = {}) {
  const Told told = Read(answer, options, 1);
  for (const size_t n : {2u, 3u, 7u, 1000u}) EXPECT_EQ(Read(answer, options, n), told) << n;
  return told;
}

Told Tools(const std::string& answer, ToolFormat format) {
  return Read(answer, {.tool_format = format});
}

Told Content(const std::string& text) {
  return {text, "", "", text.empty() ? "" : "C(" + text + ")"};
}

TEST(ChatOutputParserTest, LeavesPlainAnswersAlone) {
  for (const std::string answer :
       {"", "Hello!", " Hello\n\n", "a <think>b</think>", "<", "<thin", "<thinking>", "\n\n",
        "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "{\"name\": \"f\"}"})
    EXPECT_EQ(Read(answer), Content(answer));
}

TEST(ChatOutputParserTest, TellsReasoningFromContent) {
  EXPECT_EQ(Read("<think>\nhm\nhm\n</think>\n\nHi <b>"),
            (Told{"Hi <b>", "hm\nhm", "", "R(hm\nhm)C(Hi <b>)"}));
  EXPECT_EQ(Read("\n<think>a</think>b"), (Told{"b", "a", "", "R(a)C(b)"}));
  EXPECT_EQ(Read("<think>\n\n</think>\n\nHi"), (Told{"Hi", "", "", "C(Hi)"}));
  EXPECT_EQ(Read("<think>never </thin"), (Told{"", "never </thin", "", "R(never </thin)"}));
  EXPECT_EQ(Read("hm</think>\nHi", {.starts_in_reasoning = true}),
            (Told{"Hi", "hm", "", "R(hm)C(Hi)"}));
}

TEST(ChatOutputParserTest, ReadsTheCallsOfQwen) {
  const std::string call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":1}}\n</tool_call>";
  EXPECT_EQ(Tools(call, ToolFormat::kQwen),
            (Told{"", "", "call00001:f{\"a\": 1};", "T(" + call + ")"}));
  EXPECT_EQ(Tools("Let me see.\n" + call + "\n" + call, ToolFormat::kQwen),
            (Told{"Let me see.", "", "call00001:f{\"a\": 1};call00002:f{\"a\": 1};",
                  "C(Let me see.)T(" + call + call + ")"}));
  EXPECT_EQ(Tools("<think>x</think>\n\n" + call, ToolFormat::kQwen),
            (Told{"", "x", "call00001:f{\"a\": 1};", "R(x)T(" + call + ")"}));
  EXPECT_EQ(Tools(call + "\nDone.", ToolFormat::kQwen),
            (Told{"\nDone.", "", "call00001:f{\"a\": 1};", "T(" + call + ")C(\nDone.)"}));
  // Cut off just before its end.
  EXPECT_EQ(Tools("<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n", ToolFormat::kQwen).calls,
            "call00001:f{};");
  EXPECT_EQ(Read(call, {.tool_format = ToolFormat::kQwen, .n_earlier_calls = 7}).calls,
            "call00008:f{\"a\": 1};");
}

// Looked through anew with each of its bytes it would take minutes.
TEST(ChatOutputParserTest, ReadsALongCallInTimeHoweverItIsCut) {
  const std::string text(200'000, '<');
  const std::string call =
      R"(<tool_call>{"name": "f", "arguments": {"x": ")" + text + R"("}}</tool_call>)";
  const auto start = std::chrono::steady_clock::now();
  const Told told = Read(call, {.tool_format = ToolFormat::kQwen}, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_EQ(told.calls, R"(call00001:f{"x": ")" + text + R"("};)");
}

TEST(ChatOutputParserTest, ReadsTheCallsOfLlama3) {
  const std::string call = "{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}";
  EXPECT_EQ(Tools(call, ToolFormat::kLlama3),
            (Told{"", "", "call00001:f{\"a\": \"b\"};", "T(" + call + ")"}));
  EXPECT_EQ(Tools("<|python_tag|>" + call, ToolFormat::kLlama3).calls,
            "call00001:f{\"a\": \"b\"};");
  EXPECT_EQ(Tools(call + "; " + call, ToolFormat::kLlama3).calls,
            "call00001:f{\"a\": \"b\"};call00002:f{\"a\": \"b\"};");
  EXPECT_EQ(Tools("<|python_tag|>print(1)", ToolFormat::kLlama3),
            Content("<|python_tag|>print(1)"));
  EXPECT_EQ(Tools("Use {\"name\": 1}", ToolFormat::kLlama3), Content("Use {\"name\": 1}"));
}

TEST(ChatOutputParserTest, ReadsTheCallsOfMistral) {
  const std::string calls =
      "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}, \"id\": \"abcdefghi\"}, {\"name\": \"g\", "
      "\"arguments\": {\"x\": [1]}}]";
  EXPECT_EQ(Tools(calls, ToolFormat::kMistral),
            (Told{"", "", "abcdefghi:f{};call00002:g{\"x\": [1]};", "T(" + calls + ")"}));
  EXPECT_EQ(Tools("Hm. " + calls, ToolFormat::kMistral).content, "Hm.");
}

const ChatOutputOptions kChannels = {.has_channels = true};
const ChatOutputOptions kChannelsWithTools = {.has_channels = true,
                                              .tool_format = ToolFormat::kGptOss};

TEST(ChatOutputParserTest, TellsChannelsApart) {
  EXPECT_EQ(
      Read("<|channel|>analysis<|message|>User says hi.\nGreet.<|end|>"
           "<|start|>assistant<|channel|>final<|message|>Hello <b>!",
           kChannels),
      (Told{"Hello <b>!", "User says hi.\nGreet.", "", "R(User says hi.\nGreet.)C(Hello <b>!)"}));
  EXPECT_EQ(Read("<|channel|>final<|message|>Hi<|end|>", kChannels), Content("Hi"));
  EXPECT_EQ(Read("<|message|>Hi", kChannels), Content("Hi"));
  // Several messages of a kind, and a message that never ends.
  EXPECT_EQ(Read("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary"
                 "<|message|>I look.<|end|><|start|>assistant<|channel|>analysis<|message|>b"
                 "<|channel|>final<|message|>Done.",
                 kChannels),
            (Told{"I look.\nDone.", "a\nb", "", "R(a)C(I look.)R(\nb)C(\nDone.)"}));
  for (const std::string cut : {"", "<|chan", "<|channel|>analysis", "<|channel|>final<|message|>"})
    EXPECT_EQ(Read(cut, kChannels), Content("")) << cut;
  EXPECT_EQ(Read("<|channel|>final<|message|>a <|en", kChannels), Content("a <|en"));
  // No headers at all.
  for (const std::string answer : {"Hello <|end|>", "<|chant|>", " Hello"})
    EXPECT_EQ(Read(answer, kChannels), Content(answer));
}

TEST(ChatOutputParserTest, ReadsTheCallsOfGptOss) {
  const std::string call =
      "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
      "{\"location\":\"Tokyo\"}";
  EXPECT_EQ(Read("<|channel|>analysis<|message|>Ask.<|end|><|start|>assistant" + call,
                 kChannelsWithTools),
            (Told{"", "Ask.", "call00001:get_weather{\"location\": \"Tokyo\"};",
                  "R(Ask.)T(assistant" + call + ")"}));
  // The recipient may stand before the channel, as the template writes it.
  EXPECT_EQ(
      Read(" to=functions.f<|channel|>commentary json<|message|>{}", kChannelsWithTools).calls,
      "call00001:f{};");
  for (const std::string answer : {" to=functions.f<|channel|>commentary<|message|>nonsense",
                                   " to=functions.<|channel|>commentary<|message|>{}",
                                   "<|channel|>analysis to=python code<|message|>print(1)"})
    EXPECT_EQ(Read(answer, kChannelsWithTools), Content(answer));
  EXPECT_EQ(Read(call, kChannels), Content(call));
}

// Looked through anew with each of its bytes any of these would take minutes.
TEST(ChatOutputParserTest, ReadsLongMessagesInTimeHoweverTheyAreCut) {
  const auto start = std::chrono::steady_clock::now();
  const std::string text(100'000, '<');
  const std::string header = " to=functions.f<|channel|>commentary<|message|>";
  EXPECT_EQ(Read(header + "{\"a\": \"" + text + "\"}", kChannelsWithTools, 1).calls,
            "call00001:f{\"a\": \"" + text + "\"};");
  const std::string too_long(300'000, '{');
  EXPECT_EQ(Read(header + too_long, kChannelsWithTools, 1).content, header + too_long);
  std::string bars;
  while (bars.size() < 200'000) bars += "<|";
  EXPECT_EQ(Read("<|message|>" + bars, kChannels, 1).content, bars);
  EXPECT_EQ(Read("<|channel|>" + bars, kChannels, 1).content, "<|channel|>" + bars);
  std::string messages;
  while (messages.size() < 200'000) messages += "<|channel|>final<|message|>a<|end|><|start|>";
  EXPECT_EQ(Read(messages, kChannels, 1).content.size(), 2 * (messages.size() / 44) - 1);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

// The texts are those that the models' published templates teach.
TEST(ChatOutputParserTest, ReadsTheCallsOfNewerMistrals) {
  const auto calls = [](const std::string& answer) {
    return Tools(answer, ToolFormat::kMistral).calls;
  };
  EXPECT_EQ(Tools("[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Paris\"}", ToolFormat::kMistral),
            (Told{"", "", "call00001:get_weather{\"city\": \"Paris\"};",
                  "T([TOOL_CALLS]get_weather[ARGS]{\"city\": \"Paris\"})"}));
  EXPECT_EQ(calls("[TOOL_CALLS]f[CALL_ID]abcdefghi[ARGS]{\"a\":\"}[TOOL_CALLS]\\\"\"}"
                  "[TOOL_CALLS]g[CALL_ID]abcdefghj[ARGS]{}"),
            "abcdefghi:f{\"a\": \"}[TOOL_CALLS]\\\"\"};abcdefghj:g{};");
  EXPECT_EQ(calls("[TOOL_CALLS]f{\"a\": {\"b\": 1}}"), "call00001:f{\"a\": {\"b\": 1}};");
  EXPECT_EQ(calls("[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}}]"), "call00001:f{};");
  for (const std::string answer :
       {"[TOOL_CALLS]f[ARGS]", "[TOOL_CALLS][ARGS]{}", "[TOOL_CALLS]f[ARGS]{} more",
        "[TOOL_CALLS]f[ARGS]{\"a\"}", "[TOOL_CALLS]a b[ARGS]{}",
        "[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]", "[TOOL_CALLS]f[ARGS]{{{{"})
    EXPECT_EQ(Tools(answer, ToolFormat::kMistral), Content(answer));
}

TEST(ChatOutputParserTest, ReadsTheCallsOfGranite) {
  const std::string calls =
      "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", "
      "\"arguments\": {}}]";
  EXPECT_EQ(Tools(calls, ToolFormat::kGranite),
            (Told{"", "", "call00001:f{\"a\": 1};call00002:g{};", "T(" + calls + ")"}));
  for (const std::string answer : {"<|tool_call|>", "<|tool_call|>[]", "<|tool_call|>f()", "[{}]"})
    EXPECT_EQ(Tools(answer, ToolFormat::kGranite), Content(answer));
}

TEST(ChatOutputParserTest, ReadsTheCallsOfQwenCoder) {
  const std::string call =
      "<tool_call>\n<function=write>\n<parameter=path>\n/a b\n</parameter>\n<parameter=text>\n"
      "This is the value\nthat can span\n</parameter>\n\n</parameter>\n<parameter=n>\n20\n"
      "</parameter>\n<parameter=id>\n20\n</parameter>\n<parameter=on>\nTrue\n</parameter>\n"
      "</function>\n</tool_call>";
  const ChatOutputOptions options = {.tool_format = ToolFormat::kQwen,
                                     .string_parameters = {{"write", "id"}, {"write", "text"}}};
  const std::string arguments =
      "{\"path\": \"/a b\", \"text\": \"This is the value\\nthat can span\\n</parameter>\\n\", "
      "\"n\": 20, \"id\": \"20\", \"on\": true}";
  EXPECT_EQ(
      Read("I write.\n" + call, options),
      (Told{"I write.", "", "call00001:write" + arguments + ";", "C(I write.)T(" + call + ")"}));
  EXPECT_EQ(Tools("<tool_call>\n<function=f>\n</function>\n<function=g></function></tool_call>",
                  ToolFormat::kQwen)
                .calls,
            "call00001:f{};call00002:g{};");
  EXPECT_EQ(Tools("<tool_call><function=f><parameter=a>1</parameter><parameter=a>2</parameter>"
                  "</function></tool_call>",
                  ToolFormat::kQwen)
                .calls,
            "call00001:f{\"a\": 2};");
  for (const std::string body :
       {"<function=f>", "<function=></function>", "<function=f></function>x",
        "<function=f><parameter=a>1</function>", "<function=f><parameter=>1</parameter></function>",
        "<function=f x></function>", "<function=f", "<f></f>"})
    EXPECT_EQ(Tools("<tool_call>" + body + "</tool_call>", ToolFormat::kQwen),
              Content("<tool_call>" + body + "</tool_call>"));
}

TEST(ChatOutputParserTest, ReadsTheCallsAndTheReasoningOfSeed) {
  const std::string call =
      "<seed:tool_call>\n<function=f>\n<parameter=a>value_1</parameter>\n<parameter=b>two\nlines"
      "</parameter>\n</function>\n</seed:tool_call>";
  EXPECT_EQ(Tools("<seed:think>\nhm <think>\n</seed:think>\n" + call, ToolFormat::kSeed),
            (Told{"", "hm <think>", "call00001:f{\"a\": \"value_1\", \"b\": \"two\\nlines\"};",
                  "R(hm <think>)T(" + call + ")"}));
  EXPECT_EQ(Read("none</seed:think>Hi", {.starts_in_reasoning = true, .is_seed = true}),
            (Told{"Hi", "none", "", "R(none)C(Hi)"}));
  EXPECT_EQ(Read("<seed:thin"), Content("<seed:thin"));
}

TEST(ChatOutputParserTest, ReadsTheReasoningOfGemma4) {
  EXPECT_EQ(Read("<|channel>thought\nhm\n<channel|>Hi", {}), (Told{"Hi", "hm", "", "R(hm)C(Hi)"}));
  EXPECT_EQ(Read("<|channel>thought\n<channel|>Hi", {}), Content("Hi"));
  for (const std::string text :
       {"<|channel>plan\nx<channel|>", "<|channel>thou", "a<|channel>thought"})
    EXPECT_EQ(Read(text), Content(text));
  EXPECT_TRUE(ChatOutputParser::IsMarker("<|channel>"));
  EXPECT_TRUE(ChatOutputParser::IsMarker("<channel|>"));
  EXPECT_FALSE(ChatOutputParser::IsMarker("<|turn>"));
}

TEST(ChatOutputParserTest, ReadsTheCallsOfGlm) {
  const std::string call =
      "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
      "<arg_key>days</arg_key>\n<arg_value>[1, 2]</arg_value>\n</tool_call>";
  EXPECT_EQ(Tools("\n<think>x</think>\n" + call, ToolFormat::kGlm),
            (Told{"", "x", "call00001:get_weather{\"city\": \"Paris\", \"days\": [1, 2]};",
                  "R(x)T(" + call + ")"}));
  EXPECT_EQ(Tools("<tool_call>now</tool_call>", ToolFormat::kGlm).calls, "call00001:now{};");
  EXPECT_EQ(
      Tools("<tool_call>f<arg_key>a</arg_key><arg_value></arg_value></tool_call>", ToolFormat::kGlm)
          .calls,
      "call00001:f{\"a\": \"\"};");
  for (const std::string body : {"", "two words", "f<arg_key>a</arg_key>", "<arg_key>a</arg_key>",
                                 "f<arg_key>a</arg_key><arg_value>1", "f x<arg_key>"})
    EXPECT_EQ(Tools("<tool_call>" + body + "</tool_call>", ToolFormat::kGlm),
              Content("<tool_call>" + body + "</tool_call>"));
}

TEST(ChatOutputParserTest, ReadsTheCallsOfOlmo) {
  const std::string calls =
      "<function_calls>get_weather(location=\"San Francisco\")\n"
      "book.flight(from='it\\'s \"so\"', to=[1, -2.5, True, None], how={'a': {\"b\": False}})"
      "</function_calls>";
  EXPECT_EQ(
      Tools("Let me check.\n" + calls, ToolFormat::kOlmo),
      (Told{"Let me check.", "",
            "call00001:get_weather{\"location\": \"San Francisco\"};"
            "call00002:book.flight{\"from\": \"it's \\\"so\\\"\", \"to\": [1, -2.5, true, null], "
            "\"how\": {\"a\": {\"b\": false}}};",
            "C(Let me check.)T(" + calls + ")"}));
  const auto body_of = [](const std::string& body) {
    return Tools("<function_calls>" + body + "</function_calls>", ToolFormat::kOlmo);
  };
  EXPECT_EQ(body_of("f()").calls, "call00001:f{};");
  EXPECT_EQ(body_of("f( a = 1 , b=',)',)").calls, "call00001:f{\"a\": 1, \"b\": \",)\"};");
  EXPECT_EQ(body_of("f(a='\n\\x41\\n')").calls, "call00001:f{\"a\": \"\\nA\\n\"};");
  for (const std::string body :
       {"", "f", "f(", "f(1)", "f(a=)", "f(a=1", "f(a=x)", "f(a=1))", "f(a='b)", "f(a=])", "f(a=[)",
        "f(a=1 2)", "f(a=g())", "f(a='\\", "()", "f()x", "f(a='a' 'b')", "f(a=(1, 2))"})
    EXPECT_EQ(body_of(body), Content("<function_calls>" + body + "</function_calls>")) << body;
}

// Each would take minutes where a tag was looked for anew from every other.
TEST(ChatOutputParserTest, ReadsHostileCallsInTime) {
  const auto start = std::chrono::steady_clock::now();
  const auto repeated = [](const std::string& unit) {
    std::string text;
    while (text.size() < 200'000) text += unit;
    return text;
  };
  for (const std::string unit : {"<parameter=a>", "</parameter>", "</parameter> ", "<function=f>",
                                 "<arg_key>", "</function>", "<function=f></function>"})
    for (const ToolFormat format : {ToolFormat::kQwen, ToolFormat::kGlm})
      Read("<tool_call><function=f><parameter=a>" + repeated(unit) + "</tool_call>",
           {.tool_format = format}, 64);
  Read("<tool_call>f" + repeated("<arg_key>a</arg_key><arg_value>1</arg_value>") + "</tool_call>",
       {.tool_format = ToolFormat::kGlm}, 64);
  for (const std::string unit : {"{", "f[ARGS]{}[TOOL_CALLS]", "[CALL_ID]", "[ARGS]", "{\"", "}"})
    Read("[TOOL_CALLS]f" + repeated(unit), {.tool_format = ToolFormat::kMistral}, 64);
  for (const std::string unit : {"f()", "[", "a=1,", "'", "\\", "f(a=1) "})
    Read("<function_calls>f(a=" + repeated(unit) + "</function_calls>",
         {.tool_format = ToolFormat::kOlmo}, 64);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(ChatOutputParserTest, LeavesWhatIsNoCallByteForByte) {
  for (const std::string answer :
       {"a\n<tool_call>nonsense</tool_call> b", "<tool_call>",
        "<tool_call>{\"name\": \"f\"}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": []}</tool_call>", "a  <tool_c",
        "a </tool_call>", "<tool_call>{\"name\": \"f\", \"arguments\": {}", "x \n "})
    EXPECT_EQ(Tools(answer, ToolFormat::kQwen), Content(answer));
  for (const std::string answer : {"{\"a\": 1}", "{", " {\"name\": 5}", "{}; {}", "<|python_tag|>"})
    EXPECT_EQ(Tools(answer, ToolFormat::kLlama3), Content(answer));
  for (const std::string answer : {"[TOOL_CALLS]", "a [TOOL_CALLS]{}", "[TOOL_CALLS][1]", "[TOOL"})
    EXPECT_EQ(Tools(answer, ToolFormat::kMistral), Content(answer));
}

TEST(ChatOutputParserTest, HoldsBackNoMoreThanItMust) {
  ChatOutputParser parser({.tool_format = ToolFormat::kQwen});
  parser.Add("Hello <");
  EXPECT_EQ(parser.Take().text, "Hello");
  parser.Add("b> ");
  EXPECT_EQ(parser.Take().text, " <b>");
  parser.Add(std::string(100'000, ' '));
  EXPECT_GT(parser.Take().text.size(), 90'000u);
  parser.Add("<tool_call>" + std::string(400'000, 'x'));
  EXPECT_GT(parser.TakeRest().text.size(), 400'000u);
}

}  // namespace
}  // namespace forge
