#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace forge {

// One measurement, as llama-bench names them: a prompt of n_prompt tokens, then n_gen tokens
// generated one by one, after n_depth tokens that are in the cache already and not measured. With
// several streams, as many sequences generate at once, without a prompt that is measured.
struct SpeedTest {
  uint32_t n_prompt = 0;
  uint32_t n_gen = 0;
  uint32_t n_depth = 0;
  uint32_t n_streams = 1;

  // "pp512", "tg64", "pp512+tg64", with " @ d4096" at a depth and " x 8" for streams.
  std::string Name() const;
  uint32_t n_tokens() const { return n_streams * (n_prompt + n_gen); }  // of all streams
  bool operator==(const SpeedTest&) const = default;
};

constexpr uint32_t kStreamDepth = 32;  // tokens of each stream's prompt
constexpr uint32_t kStreamGen = 24;    // what each generates while all of them do

// Comma-separated numbers from 0 to 2^20: "8,16,32". kInvalidArgument naming `option`.
Result<std::vector<uint32_t>> ParseNumbers(std::string_view option, std::string_view text);
// "512,64": a prompt and what is generated after it.
Result<SpeedTest> ParsePromptAndGen(std::string_view text);

// Generations of as many streams at once, after prompts of each depth: kStreamDepth where it is 0.
// kInvalidArgument for a number outside [1, 256].
Result<std::vector<SpeedTest>> ParseStreams(std::string_view text,
                                            const std::vector<uint32_t>& depths);

// All tests of a run, in llama-bench's order: for each depth the prompts, then the generations,
// then both together. Zeros stand for "none".
std::vector<SpeedTest> CombineTests(const std::vector<uint32_t>& prompts,
                                    const std::vector<uint32_t>& gens,
                                    const std::vector<SpeedTest>& both,
                                    const std::vector<uint32_t>& depths);

}  // namespace forge
