#include "bench/speed_test.h"

#include <charconv>

namespace forge {

std::string SpeedTest::Name() const {
  std::string name;
  if (n_prompt > 0) name += "pp" + std::to_string(n_prompt);
  if (n_prompt > 0 && n_gen > 0) name += "+";
  if (n_gen > 0) name += "tg" + std::to_string(n_gen);
  if (n_depth > 0) name += " @ d" + std::to_string(n_depth);
  if (n_streams > 1) name += " x " + std::to_string(n_streams);
  return name;
}

Result<std::vector<uint32_t>> ParseNumbers(std::string_view option, std::string_view text) {
  constexpr uint32_t kMax = 1 << 20;
  std::vector<uint32_t> numbers;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, comma - begin);
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size() || number > kMax)
      return InvalidArgument(std::string(option) + " needs numbers from 0 to 1048576 with commas " +
                             "between them, not '" + std::string(text) + "'");
    numbers.push_back(number);
    begin = comma + 1;
  }
  return numbers;
}

Result<SpeedTest> ParsePromptAndGen(std::string_view text) {
  FORGE_ASSIGN_OR_RETURN(const std::vector<uint32_t> numbers, ParseNumbers("-pg", text));
  if (numbers.size() != 2 || numbers[0] == 0 || numbers[1] == 0)
    return InvalidArgument("-pg needs two numbers above 0, prompt and generation, not '" +
                           std::string(text) + "'");
  return SpeedTest{.n_prompt = numbers[0], .n_gen = numbers[1]};
}

Result<std::vector<SpeedTest>> ParseStreams(std::string_view text,
                                            const std::vector<uint32_t>& depths) {
  std::vector<SpeedTest> tests;
  if (text.empty()) return tests;
  FORGE_ASSIGN_OR_RETURN(const std::vector<uint32_t> numbers, ParseNumbers("--streams", text));
  for (const uint32_t n : numbers) {
    if (n < 1 || n > 256)
      return InvalidArgument("--streams needs 1 to 256 streams, not " + std::to_string(n));
    for (const uint32_t depth : depths)
      tests.push_back(
          {.n_gen = kStreamGen, .n_depth = depth == 0 ? kStreamDepth : depth, .n_streams = n});
  }
  return tests;
}

std::vector<SpeedTest> CombineTests(const std::vector<uint32_t>& prompts,
                                    const std::vector<uint32_t>& gens,
                                    const std::vector<SpeedTest>& both,
                                    const std::vector<uint32_t>& depths) {
  std::vector<SpeedTest> tests;
  for (const uint32_t depth : depths) {
    for (const uint32_t n_prompt : prompts)
      if (n_prompt > 0) tests.push_back({.n_prompt = n_prompt, .n_depth = depth});
    for (const uint32_t n_gen : gens)
      if (n_gen > 0) tests.push_back({.n_gen = n_gen, .n_depth = depth});
    for (const SpeedTest& test : both)
      tests.push_back({.n_prompt = test.n_prompt, .n_gen = test.n_gen, .n_depth = depth});
  }
  return tests;
}

}  // namespace forge
