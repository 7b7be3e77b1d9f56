// Calls of tools that are held to their form while a model writes them.
#include "engine/runtime/call_holder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/runtime/scheduler_fixture.h"

namespace forge {
namespace {

using testing::Greedy;
using testing::Prompt;
using testing::RecordingSink;
using testing::SchedulerTest;
using testing::SmallOptions;
using testing::TestTokens;

class AnswerSink final : public RecordingSink {
 public:
  void OnAnswer(ChatAnswer told, TextKind /*trailing_kind*/) override { answer = std::move(told); }

  std::string Calls() const {
    std::string calls;
    for (const ToolCall& call : answer.tool_calls) calls += call.name + call.arguments_json + ";";
    return calls;
  }

  ChatAnswer answer;
};

SchedulerOptions Options(uint32_t max_draft_tokens) {
  SchedulerOptions options = SmallOptions();
  options.max_draft_tokens = max_draft_tokens;
  options.limits.context_length = 512;
  options.kv_groups = {{.blocks_per_sequence = 64, .n_blocks = 2 * 64}};
  return options;
}

class CallHolderTest : public SchedulerTest {
 protected:
  explicit CallHolderTest(uint32_t max_draft_tokens = 0)
      : SchedulerTest(Options(max_draft_tokens)) {}

  // The model wants to write this, whatever it wrote before, and then to end.
  void WantsToWrite(const std::string& text) {
    model_.script = [wanted = TestTokens(text),
                     n_prompt = n_prompt_](std::span<const TokenId> sequence) {
      const size_t i = sequence.size() - n_prompt;
      return i < wanted.size() ? wanted[i] : *testing::TestTokenizer().special().eos;
    };
  }
  GenerateRequest Request(ToolFormat format = ToolFormat::kQwen) const {
    GenerateRequest request = Greedy(Prompt(static_cast<uint32_t>(n_prompt_)), 500);
    request.chat = {.tool_format = format, .tools = tools_};
    return request;
  }
  std::shared_ptr<AnswerSink> Run(GenerateRequest request) {
    auto sink = std::make_shared<AnswerSink>();
    const Status status = scheduler_.Submit(Open(), std::move(request), sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    RunUntilIdle();
    EXPECT_TRUE(sink->status.ok()) << sink->status.ToString();
    return sink;
  }

  const size_t n_prompt_ = 4;
  std::vector<ChatTool> tools_ = {
      {.name = "free", .description = {}, .parameters_json = {}},
      {.name = "held",
       .description = {},
       .parameters_json = R"({"type": "object", "properties": {"a": {"enum": ["x"]}},
                              "required": ["a"], "additionalProperties": false})",
       .is_strict = true}};
};

TEST_F(CallHolderTest, LeavesAWellFormedCallAndTheTextAroundItAlone) {
  const std::string text =
      "I {look}.\n<tool_call>\n{\"name\": \"free\", \"arguments\": {\"b\": [1, 2.5], \"q\": "
      "\"hi\"}}"
      "\n</tool_call>\n<tool_call>{\"name\": \"held\", \"arguments\": {\"a\": \"x\"}}</tool_call>";
  WantsToWrite(text);
  const auto sink = Run(Request());
  sink->tokens.pop_back();  // the end
  EXPECT_EQ(sink->tokens, TestTokens(text));
  EXPECT_EQ(sink->Calls(), "free{\"b\": [1, 2.5], \"q\": \"hi\"};held{\"a\": \"x\"};");
  EXPECT_EQ(sink->reason, FinishReason::kToolCalls);
}

TEST_F(CallHolderTest, HoldsAStrictCallToItsSchema) {
  WantsToWrite(
      "Well.\n<tool_call>\n{\"name\": \"held\", \"arguments\": {\"b\": 7, \"c\": ]]]</tool_call>");
  const auto sink = Run(Request());
  EXPECT_EQ(sink->Calls(), "held{\"a\": \"x\"};");
  EXPECT_EQ(sink->reason, FinishReason::kToolCalls);
  EXPECT_EQ(sink->answer.content, "Well.");
}

TEST_F(CallHolderTest, NamesNoToolThatThereIsNot) {
  tools_.erase(tools_.begin());
  WantsToWrite("<tool_call>{\"name\": \"hell\", \"arguments\": {\"a\": \"x\"}}</tool_call>");
  EXPECT_EQ(Run(Request())->Calls(), "held{\"a\": \"x\"};");
}

TEST_F(CallHolderTest, ACallDoesNotEndWithTheAnswer) {
  WantsToWrite("<tool_call>{\"name\": \"held\", \"argu");
  EXPECT_EQ(Run(Request())->Calls(), "held{\"a\": \"x\"};");
}

TEST_F(CallHolderTest, AListEndsWithTheAnswer) {
  WantsToWrite("[TOOL_CALLS][{\"name\": \"held\", \"arguments\": {\"a\": \"y\"}}]");
  const auto sink = Run(Request(ToolFormat::kMistral));
  EXPECT_EQ(sink->Calls(), "held{\"a\": \"x\"};");
  EXPECT_EQ(sink->tokens.back(), *testing::TestTokenizer().special().eos);
}

TEST_F(CallHolderTest, AListGoesOnWhereTheAnswerMayNotEnd) {
  WantsToWrite("[TOOL_CALLS][{\"name\": \"held\", \"arguments\": {\"a\": \"y\"}}]");
  GenerateRequest request = Request(ToolFormat::kMistral);
  request.ignore_end = true;
  request.max_tokens = 200;
  const auto sink = Run(std::move(request));
  EXPECT_EQ(sink->tokens.size(), 200u);
  EXPECT_EQ(sink->reason, FinishReason::kMaxTokens);
  EXPECT_TRUE(sink->Calls().starts_with("held{\"a\": \"x\"};")) << sink->Calls();
}

TEST_F(CallHolderTest, HoldsAMessageToAFunctionThatItsHeaderNames) {
  GenerateRequest request = Request(ToolFormat::kGptOss);
  request.chat->has_channels = true;
  WantsToWrite("<|channel|>commentary to=functions.held<|message|>{\"b\": 1}");
  EXPECT_EQ(Run(std::move(request))->Calls(), "held{\"a\": \"x\"};");
}

TEST_F(CallHolderTest, HoldsNothingInOtherFormatsAndWithoutTools) {
  const std::string text = "<tool_call>{\"name\": \"nowhere\", \"arguments\": 5}</tool_call>";
  WantsToWrite(text);
  EXPECT_EQ(Run(Request(ToolFormat::kQwenCoder))->text, text);
  tools_.clear();
  EXPECT_EQ(Run(Request())->text, text);
}

TEST_F(CallHolderTest, BeginsOnceNothingIsHeldBackForAStopString) {
  GenerateRequest request = Request();
  request.stop_strings = {">{\"name\": \"held!"};
  WantsToWrite("<tool_call>{\"name\": \"held\", \"arguments\": {\"z\": 1}}</tool_call>");
  EXPECT_EQ(Run(std::move(request))->Calls(), "held{\"a\": \"x\"};");
}

TEST_F(CallHolderTest, RefusesASchemaThatItCannotHoldTo) {
  tools_[1].parameters_json = R"({"type": "object", "not": {}})";
  const Status refused = Refused(Open(), Request());
  EXPECT_EQ(refused.reason(), "SCHEMA_UNSUPPORTED");
  tools_[1].is_strict = false;
  WantsToWrite("<tool_call>{\"name\": \"held\", \"arguments\": {\"z\": 1}}</tool_call>");
  EXPECT_EQ(Run(Request())->Calls(), "held{\"z\": 1};");
}

class GuessingCallHolderTest : public CallHolderTest {
 protected:
  GuessingCallHolderTest() : CallHolderTest(7) {}
};

// What the first call was is guessed of the second, whose marker is within the guesses.
TEST_F(GuessingCallHolderTest, GuessesOfAStepThatACallBeginsInDoNotCount) {
  const std::string call =
      "one two three\n<tool_call>{\"name\": \"held\", \"arguments\": {\"a\": \"x\"}}</tool_call>\n";
  std::string wrong = call;
  wrong[wrong.find('{')] = '[';
  WantsToWrite(call + call + wrong);
  const auto sink = Run(Request());
  const std::vector<TokenId> right = TestTokens(call + call);
  EXPECT_EQ(sink->answer.tool_calls.size(), 3u) << sink->Calls();
  ASSERT_GT(sink->tokens.size(), right.size());
  EXPECT_TRUE(std::equal(right.begin(), right.end(), sink->tokens.begin()));
  EXPECT_GT(sink->usage.accepted_tokens, 10u);
}

}  // namespace
}  // namespace forge
