// Calls of tools in answers, in every format.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "engine/text/chat_output.h"
#include "tests/engine/text/told_answer.h"

namespace forge {
namespace {

using testing::Content;
using testing::Read;
using testing::Told;
using testing::Tools;

TEST(ToolCallsTest, ReadsTheCallsOfQwen) {
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

TEST(ToolCallsTest, ReadsTheCallsOfLlama3) {
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

TEST(ToolCallsTest, ReadsTheCallsOfMistral) {
  const std::string calls =
      "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}, \"id\": \"abcdefghi\"}, {\"name\": \"g\", "
      "\"arguments\": {\"x\": [1]}}]";
  EXPECT_EQ(Tools(calls, ToolFormat::kMistral),
            (Told{"", "", "abcdefghi:f{};call00002:g{\"x\": [1]};", "T(" + calls + ")"}));
  EXPECT_EQ(Tools("Hm. " + calls, ToolFormat::kMistral).content, "Hm.");
}

// The texts are those that the models' published templates teach.
TEST(ToolCallsTest, ReadsTheCallsOfNewerMistrals) {
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

TEST(ToolCallsTest, ReadsTheCallsOfGranite) {
  const std::string calls =
      "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", "
      "\"arguments\": {}}]";
  EXPECT_EQ(Tools(calls, ToolFormat::kGranite),
            (Told{"", "", "call00001:f{\"a\": 1};call00002:g{};", "T(" + calls + ")"}));
  for (const std::string answer : {"<|tool_call|>", "<|tool_call|>[]", "<|tool_call|>f()", "[{}]"})
    EXPECT_EQ(Tools(answer, ToolFormat::kGranite), Content(answer));
}

TEST(ToolCallsTest, ReadsTheCallsOfQwenCoder) {
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

TEST(ToolCallsTest, ReadsTheCallsAndTheReasoningOfSeed) {
  const std::string call =
      "<seed:tool_call>\n<function=f>\n<parameter=a>value_1</parameter>\n<parameter=b>two\nlines"
      "</parameter>\n</function>\n</seed:tool_call>";
  EXPECT_EQ(Tools("<seed:think>\nhm <think>\n</seed:think>\n" + call, ToolFormat::kSeed),
            (Told{"", "hm <think>", "call00001:f{\"a\": \"value_1\", \"b\": \"two\\nlines\"};",
                  "R(hm <think>)T(" + call + ")"}));
  EXPECT_EQ(Read("none</seed:think>Hi", {.open_thinking = "<seed:think>"}),
            (Told{"Hi", "none", "", "R(none)C(Hi)"}));
  EXPECT_EQ(Read("<seed:thin"), Content("<seed:thin"));
}

TEST(ToolCallsTest, ReadsTheCallsOfGlm) {
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

TEST(ToolCallsTest, ReadsTheCallsOfOlmo) {
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

TEST(ToolCallsTest, ReadsEitherFormWhateverTheTemplateShows) {
  EXPECT_EQ(Tools("<tool_call><function=f></function></tool_call>", ToolFormat::kQwen),
            Tools("<tool_call><function=f></function></tool_call>", ToolFormat::kQwenCoder));
  for (const std::string calls :
       {"[TOOL_CALLS]f[ARGS]{}", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}]"}) {
    EXPECT_EQ(Tools(calls, ToolFormat::kMistral), Tools(calls, ToolFormat::kMistralNamed));
    EXPECT_EQ(Tools(calls, ToolFormat::kMistralNamed).calls, "call00001:f{};");
  }
}

TEST(ToolCallsTest, ReadsTheCallsOfMiniMax) {
  const std::string calls =
      "<minimax:tool_call>\n<invoke name=\"search_web\">\n"
      "<parameter name=\"query\">[\"a\", \"b\"]</parameter>\n"
      "<parameter name=\"text\">7 \"</parameter>\" </invoke></parameter>\n</invoke>\n"
      "<invoke name=\"now\">\n</invoke>\n</minimax:tool_call>";
  EXPECT_EQ(
      Read("hm</think>\n\nI look.\n" + calls, {.open_thinking = "<think>",
                                               .tool_format = ToolFormat::kMiniMax,
                                               .string_parameters = {{"search_web", "text"}}}),
      (Told{"I look.", "hm",
            "call00001:search_web{\"query\": [\"a\", \"b\"], "
            "\"text\": \"7 \\\"</parameter>\\\" </invoke>\"};call00002:now{};",
            "R(hm)C(I look.)T(" + calls + ")"}));
  for (const std::string body :
       {"", "<invoke name=\"f\">", "<invoke name=\"\"></invoke>", "<invoke name=f></invoke>",
        "<invoke name=\"f\"><parameter name=\"a\">1</invoke>", "<function=f></function>"})
    EXPECT_EQ(Tools("<minimax:tool_call>" + body + "</minimax:tool_call>", ToolFormat::kMiniMax),
              Content("<minimax:tool_call>" + body + "</minimax:tool_call>"));
}

TEST(ToolCallsTest, ReadsTheCallsOfLfm2) {
  const auto body_of = [](const std::string& body) {
    return Tools("<|tool_call_start|>" + body + "<|tool_call_end|>", ToolFormat::kLfm2);
  };
  const std::string calls =
      "<|tool_call_start|>[find(id=\"12345\", n=2), book.it(on=True, 'no'=None)]<|tool_call_end|>";
  EXPECT_EQ(Tools("I look." + calls, ToolFormat::kLfm2), Content("I look." + calls));
  EXPECT_EQ(
      Tools("<|tool_call_start|>[find(id=\"12345\", n=2), go(on=True)]<|tool_call_end|>Wait.",
            ToolFormat::kLfm2),
      (Told{"Wait.", "", "call00001:find{\"id\": \"12345\", \"n\": 2};call00002:go{\"on\": true};",
            "T(<|tool_call_start|>[find(id=\"12345\", n=2), go(on=True)]<|tool_call_end|>)"
            "C(Wait.)"}));
  EXPECT_EQ(body_of(" [ f ( ) ] ").calls, "");
  EXPECT_EQ(body_of(" [ f( ) , g(a=[1]) ] ").calls, "call00001:f{};call00002:g{\"a\": [1]};");
  EXPECT_EQ(body_of("f(a='x')").calls, "call00001:f{\"a\": \"x\"};");
  // As a system message may ask for.
  EXPECT_EQ(body_of("[{\"name\": \"f\", \"arguments\": {\"a\": {}}}]").calls,
            "call00001:f{\"a\": {}};");
  for (const std::string body :
       {"", "[]", "[f()", "f()]", "[f() g()]", "[f(),]", "f(), g()", "[f(1)]", "[{\"name\": 1}]",
        "{\"name\": \"f\", \"arguments\": {}}"})
    EXPECT_EQ(body_of(body), Content("<|tool_call_start|>" + body + "<|tool_call_end|>")) << body;
}

TEST(ToolCallsTest, ReadsTheCallsAndTheReasoningOfCommand) {
  const std::string calls =
      "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": "
      "{\"a\": 1}},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"g\", \"parameters\": {}}\n]"
      "<|END_ACTION|>";
  EXPECT_EQ(
      Tools("<|START_THINKING|>I will.<|END_THINKING|>" + calls, ToolFormat::kCommand),
      (Told{"", "I will.", "call00001:f{\"a\": 1};call00002:g{};", "R(I will.)T(" + calls + ")"}));
  EXPECT_EQ(Read("so<|END_THINKING|>Hi", {.open_thinking = "<|START_THINKING|>"}),
            (Told{"Hi", "so", "", "R(so)C(Hi)"}));
  for (const std::string body : {"", "[]", "[{\"name\": \"f\", \"parameters\": {}}]",
                                 "{\"tool_name\": \"f\", \"parameters\": {}}"})
    EXPECT_EQ(Tools("<|START_ACTION|>" + body + "<|END_ACTION|>", ToolFormat::kCommand),
              Content("<|START_ACTION|>" + body + "<|END_ACTION|>"));
}

TEST(ToolCallsTest, ReadsTheCallsOfDeepSeek) {
  const std::string begin = "<｜tool▁calls▁begin｜>", end = "<｜tool▁calls▁end｜>";
  const std::string call = "<｜tool▁call▁begin｜>", sep = "<｜tool▁sep｜>",
                    end_call = "<｜tool▁call▁end｜>";
  const std::string fenced =
      call + "function" + sep + "f\n```json\n{\"a\": \"```\"}\n```" + end_call;
  const std::string plain = call + "g" + sep + "{\"b\":[1]}" + end_call;
  EXPECT_EQ(Tools("Well.\n" + begin + fenced + "\n" + plain + end, ToolFormat::kDeepSeek),
            (Told{"Well.", "", "call00001:f{\"a\": \"```\"};call00002:g{\"b\": [1]};",
                  "C(Well.)T(" + begin + fenced + "\n" + plain + end + ")"}));
  for (const std::string& body : std::vector<std::string>{
           "", "x", call, call + end_call, call + "f" + end_call, call + "f" + sep + end_call,
           call + sep + "{}" + end_call, call + "f" + sep + "{}",
           call + "f" + sep + "```{}```" + end_call, call + "f" + sep + "g```" + end_call,
           call + "f" + sep + "g ```json {} " + end_call, plain + "x",
           call + "a b" + sep + "{}" + end_call})
    EXPECT_EQ(Tools(begin + body + end, ToolFormat::kDeepSeek), Content(begin + body + end));
}

TEST(ToolCallsTest, ReadsTheCallsOfGemma4) {
  const std::string quote = "<|\"|>";
  const auto body_of = [](const std::string& body) {
    return Tools("<|tool_call>call:f{" + body + "}<tool_call|>", ToolFormat::kGemma4);
  };
  const std::string call = "<|tool_call>call:get_weather{city:" + quote + "Paris, \"{so}\"\n" +
                           quote + ",days:[1,-2.5],at:{x:true,y:null},s:" + quote + quote +
                           "}<tool_call|>";
  EXPECT_EQ(
      Tools("<|channel>thought\nhm<channel|>I look." + call + call, ToolFormat::kGemma4),
      (Told{"I look.", "hm",
            "call00001:get_weather{\"city\": \"Paris, \\\"{so}\\\"\\n\", \"days\": [1, -2.5], "
            "\"at\": {\"x\": true, \"y\": null}, \"s\": \"\"};"
            "call00002:get_weather{\"city\": \"Paris, \\\"{so}\\\"\\n\", \"days\": [1, -2.5], "
            "\"at\": {\"x\": true, \"y\": null}, \"s\": \"\"};",
            "R(hm)C(I look.)T(" + call + call + ")"}));
  EXPECT_EQ(body_of("").calls, "call00001:f{};");
  EXPECT_EQ(body_of(" a b : \"x\\\"}\" , \"c\" : [ {d:" + quote + "\\" + quote + "} , [] ] ").calls,
            "call00001:f{\"a b\": \"x\\\"}\", \"c\": [{\"d\": \"\\\\\"}, []]};");
  EXPECT_EQ(body_of(quote + "k:" + quote + ":1").calls, "call00001:f{\"k:\": 1};");
  for (const std::string& body : std::vector<std::string>{
           "a", "a:", "a:b", "a:1 2", ":1", "a:[1", "a:]", "a:1}", "{a:1}", "a:" + quote, "a:\"",
           "a:\"\\", "a:True", "a:1,", "a:" + quote + "x" + quote + "y"})
    EXPECT_EQ(body_of(body), Content("<|tool_call>call:f{" + body + "}<tool_call|>")) << body;
  for (const std::string answer :
       {"<|tool_call>f{}<tool_call|>", "<|tool_call>call:{}<tool_call|>",
        "<|tool_call>call:f<tool_call|>", "<|tool_call>call:f g{}<tool_call|>",
        "<|tool_call>call:f{}x<tool_call|>"})
    EXPECT_EQ(Tools(answer, ToolFormat::kGemma4), Content(answer));
  for (const char* marker : {"<|tool_call>", "<tool_call|>", "<|\"|>", "<｜tool▁sep｜>"})
    EXPECT_TRUE(ChatOutputParser::IsMarker(marker)) << marker;
  EXPECT_FALSE(ChatOutputParser::IsMarker("<|tool_response>"));
}

// Each would take minutes where a tag was looked for anew from every other.
TEST(ToolCallsTest, ReadsHostileCallsInTime) {
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
  for (const std::string unit : {"<parameter name=\"a\">", "</parameter>", "<invoke name=\"f\">"})
    Read("<minimax:tool_call><invoke name=\"f\"><parameter name=\"a\">" + repeated(unit) +
             "</minimax:tool_call>",
         {.tool_format = ToolFormat::kMiniMax}, 64);
  for (const std::string unit : {"f(),", "[", "'", "f(a=1),"})
    Read("<|tool_call_start|>[f(a=" + repeated(unit) + "<|tool_call_end|>",
         {.tool_format = ToolFormat::kLfm2}, 64);
  for (const std::string unit :
       {"<｜tool▁sep｜>", "```", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜>"})
    Read("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜>" +
             repeated(unit) + "<｜tool▁calls▁end｜>",
         {.tool_format = ToolFormat::kDeepSeek}, 64);
  for (const std::string unit : {"<|\"|>", "{", "[", "a:", "a:{", "\"", ",", "\\", "a:1,"})
    Read("<|tool_call>call:f{a:" + repeated(unit) + "}<tool_call|>",
         {.tool_format = ToolFormat::kGemma4}, 64);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(ToolCallsTest, LeavesWhatIsNoCallByteForByte) {
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

}  // namespace
}  // namespace forge
