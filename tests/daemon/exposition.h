#pragma once

#include <map>
#include <string>

#include "kernels/base/result.h"

namespace forge::testing {

// A page in Prometheus' text format 0.0.4, read with all its rules.
struct Exposition {
  struct Family {
    std::string help, type;
  };
  std::map<std::string, Family> families;
  std::map<std::string, double> samples;  // "name", or "name{label=\"value\",...}" as written

  // The value of a sample; -1, which no metric of ours has, if there is none.
  double operator[](const std::string& sample) const;
  // The sum of the samples that begin so.
  double SumOf(const std::string& beginning) const;
  // How many samples hold `text`.
  size_t CountWith(const std::string& text) const;
};

// kInvalidArgument naming the first line that breaks a rule: a family has HELP and TYPE, once each,
// before its samples and all together; names and labels are well-formed and escaped; no sample is
// there twice; counters end with _total and are not negative; buckets rise to the count.
Result<Exposition> ParseExposition(const std::string& text);

// A counter or part of a histogram that is less in `after` than in `before`, or gone; empty if
// there is none.
std::string FallenCounter(const Exposition& before, const Exposition& after);

}  // namespace forge::testing
