// Measures what constraints cost: constraint_bench FILE.gguf...
//
// Of each file's vocabulary: the time to sort it, and that of the masks along a JSON text, in
// processor time of the one thread that works; and what is guessed of that text because the schema
// leaves no choice, for a model that cuts it as the tokenizer does. Of a file with a model also:
// the decode step with and without a constraint, the shortest of several runs that alternate,
// because other programs disturb the clock on the wall.

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/grammar/constraint_compiler.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/forced_drafter.h"
#include "kernels/cpu/cpu_device.h"

namespace {

using forge::OutputConstraint;
using forge::TokenId;

const OutputConstraint kSchema = {
    OutputConstraint::Kind::kJsonSchema,
    R"({"type":"array","items":{"type":"object","required":["name","kind","tags","score","at"],
        "properties":{"name":{"type":"string"},"kind":{"enum":["fox","cat","dragon"]},
                      "tags":{"type":"array","items":{"type":"string"}},
                      "about":{"type":"string","maxLength":200},
                      "score":{"type":"number"},"at":{"type":"string","format":"date-time"}}},
        "minItems":1000})"};
const OutputConstraint kAnyJson = {OutputConstraint::Kind::kJsonSchema, "true"};

constexpr const char* kText =
    R"([{"name": "Otto the fox", "kind": "fox", "tags": ["small", "red", "very curious about the )"
    R"(world"], "about": "He lived in a quiet forest and could not find his ball.", "score": 4.25, )"
    R"("at": "2024-02-29T12:34:56Z"},)"
    "\n  "
    R"({"name": "Rufus", "kind": "cat", "tags": [], "score": -17e3, "at": "1999-12-31T23:59:59Z"},)"
    R"({"name": "Ärger — “quoted”", "kind": "dragon", "tags": ["日本語"], "score": 0, )";

double ThreadSeconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

std::vector<TokenId> TokensOfText(const forge::Tokenizer& tokenizer) {
  std::vector<TokenId> tokens = tokenizer.Encode(kText, {.add_special = false});
  // A SentencePiece text begins with a space, which the JSON does not.
  const std::string first = tokenizer.TokenBytes(tokens.front(), false);
  if (first.starts_with(' ')) {
    const auto bare = tokenizer.FindToken(first.substr(1));
    tokens.front() = bare.value_or(tokens.front());
    if (first.size() == 1) tokens.erase(tokens.begin());
  }
  return tokens;
}

// The masks along kText, in microseconds.
std::optional<std::vector<double>> MaskTimes(const forge::Tokenizer& tokenizer,
                                             forge::ConstraintCompiler& compiler,
                                             const OutputConstraint& source) {
  auto constraint = compiler.Compile(source, {});
  if (!constraint.ok()) {
    std::fprintf(stderr, "%s\n", constraint.status().ToString().c_str());
    return std::nullopt;
  }
  std::vector<double> times;
  for (const TokenId token : TokensOfText(tokenizer)) {
    const double start = ThreadSeconds();
    const auto allowed = (*constraint)->AllowedTokens();
    times.push_back((ThreadSeconds() - start) * 1e6);
    const std::string bytes = tokenizer.TokenBytes(token, false);
    if (!allowed.ok() || !(*allowed)->Allows(token) || !(*constraint)->Accept(token).ok()) {
      std::fprintf(stderr, "the text left the grammar at '%s'\n", bytes.c_str());
      return std::nullopt;
    }
  }
  return times;
}

void PrintTimes(const char* what, std::vector<double> times) {
  double sum = 0;
  for (const double time : times) sum += time;
  const double first = times.front();
  std::sort(times.begin(), times.end());
  std::printf("  %s: %zu times, mean %.1f us, median %.1f us, first %.0f us, longest %.0f us\n",
              what, times.size(), sum / static_cast<double>(times.size()), times[times.size() / 2],
              first, times.back());
}

// The steps that kText takes where each computes up to `most` guesses.
bool MeasureGuesses(const forge::Tokenizer& tokenizer, forge::ConstraintCompiler& compiler,
                    size_t most) {
  const auto constraint = compiler.Compile(kSchema, {});
  if (!constraint.ok()) return false;
  const std::vector<TokenId> tokens = TokensOfText(tokenizer);
  forge::ForcedDrafter drafter(tokenizer, (*constraint)->automaton(),
                               static_cast<uint32_t>(tokenizer.n_tokens()));
  std::vector<double> times;
  size_t n_done = 1, n_guessed = 0, n_right = 0;
  while (n_done < tokens.size()) {
    const double start = ThreadSeconds();
    const forge::Draft& draft = drafter.Propose(std::span(tokens).first(n_done), most);
    times.push_back((ThreadSeconds() - start) * 1e6);
    const std::vector<TokenId> guesses = draft.tokens;
    const auto right = static_cast<size_t>(
        std::mismatch(guesses.begin(), guesses.end(),
                      tokens.begin() + static_cast<ptrdiff_t>(n_done), tokens.end())
            .first -
        guesses.begin());
    n_guessed += guesses.size();
    n_right += right;
    for (size_t i = 0; i <= right && n_done < tokens.size(); ++i) drafter.Learn(tokens[n_done++]);
  }
  std::printf("  up to %zu guesses a step: %zu tokens in %zu steps, %zu of %zu guesses right\n",
              most, tokens.size(), times.size() + 1, n_right, n_guessed);
  PrintTimes("guessing", times);
  return true;
}

int MeasureMasks(const forge::GgufFile& file) {
  const auto tokenizer = forge::Tokenizer::Create(file.metadata());
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.status().ToString().c_str());
    return 1;
  }
  forge::ConstraintCompiler compiler(**tokenizer, (*tokenizer)->n_tokens());
  double start = ThreadSeconds();
  if (!compiler.Compile(kAnyJson, {}).ok()) return 1;
  const double with_trie = ThreadSeconds() - start;
  start = ThreadSeconds();
  const auto kept = compiler.Compile(kSchema, {});
  std::printf("  %zu tokens sorted in %.0f ms; the schema compiled in %.2f ms\n",
              (*tokenizer)->n_tokens(), with_trie * 1e3, (ThreadSeconds() - start) * 1e3);
  for (const OutputConstraint* source : {&kSchema, &kAnyJson}) {
    const std::string name = source == &kSchema ? "schema" : "any JSON";
    const auto cold = MaskTimes(**tokenizer, compiler, *source);
    const auto warm = MaskTimes(**tokenizer, compiler, *source);
    if (!cold || !warm) return 1;
    PrintTimes((name + ", first answer").c_str(), *cold);
    PrintTimes((name + ", second answer").c_str(), *warm);
  }
  return MeasureGuesses(**tokenizer, compiler, /*most=*/7) ? 0 : 1;
}

class Sink final : public forge::GenerationSink {
 public:
  void OnQueued(uint32_t) override {}
  void OnPromptProgress(uint32_t, uint32_t) override {}
  void OnToken(forge::TokenEvent) override {}
  void OnFinished(const forge::Status& status, forge::FinishReason, std::string,
                  const forge::GenerateUsage& usage) override {
    const std::lock_guard lock(mutex_);
    status_ = status;
    usage_ = usage;
    is_finished_ = true;
    changed_.notify_all();
  }
  // Microseconds of a step.
  std::optional<double> StepTime() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_finished_; });
    if (!status_.ok() || usage_.output_tokens < 2) return std::nullopt;
    return static_cast<double>(usage_.decode_time.count()) / 1e3 / (usage_.output_tokens - 1);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  forge::Status status_;
  forge::GenerateUsage usage_;
  bool is_finished_ = false;
};

std::optional<double> StepTime(forge::Engine& engine, forge::ModelId model,
                               const std::optional<OutputConstraint>& constraint, uint64_t seed) {
  const auto session = engine.OpenSession(model);
  if (!session.ok()) return std::nullopt;
  forge::GenerateRequest request;
  request.prompt = engine.Tokenize(model, "Once upon a time", true, false).value();
  request.max_tokens = 200;
  request.ignore_end = true;
  request.sampling.seed = seed;
  request.constraint = constraint;
  const auto sink = std::make_shared<Sink>();
  const forge::Status status = engine.Submit(*session, std::move(request), sink);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  const std::optional<double> time = status.ok() ? sink->StepTime() : std::nullopt;
  engine.CloseSession(*session);
  return time;
}

int MeasureSteps(const char* path) {
  constexpr int kRuns = 15;
  forge::EngineOptions options;
  auto device = forge::CreateCpuDevice({});
  if (!device.ok()) return 1;
  options.devices.push_back(std::move(*device));
  const auto engine = forge::Engine::Create(std::move(options));
  if (!engine.ok()) return 1;
  const auto model = (*engine)->Load(path, "", {}, nullptr);
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", model.status().ToString().c_str());
    return 1;
  }
  std::vector<double> plain, constrained;
  for (uint64_t run = 0; run < kRuns; ++run) {
    const auto without = StepTime(**engine, *model, std::nullopt, run);
    const auto with = StepTime(**engine, *model, kSchema, run);
    if (!without || !with) return 1;
    plain.push_back(*without);
    constrained.push_back(*with);
  }
  const double best_plain = *std::min_element(plain.begin(), plain.end());
  const double best_constrained = *std::min_element(constrained.begin(), constrained.end());
  std::printf(
      "  decode step %.1f us without, %.1f us with the schema: %+.1f %%; its first answer "
      "%.1f us\n",
      best_plain, best_constrained, (best_constrained / best_plain - 1) * 100, constrained.front());
  return 0;
}

int Measure(const char* path) {
  std::printf("%s\n", path);
  const auto file = forge::GgufFile::Open(path);
  if (!file.ok()) {
    std::fprintf(stderr, "%s\n", file.status().ToString().c_str());
    return 1;
  }
  if (MeasureMasks(**file) != 0) return 1;
  return (*file)->tensors().empty() ? 0 : MeasureSteps(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE.gguf...\n", argv[0]);
    return 2;
  }
  int failed = 0;
  for (int i = 1; i < argc; ++i) failed |= Measure(argv[i]);
  return failed;
}
