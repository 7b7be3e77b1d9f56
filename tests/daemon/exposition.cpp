#include "tests/daemon/exposition.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <vector>

namespace forge::testing {
namespace {

// Of a histogram's sample, without its suffix; of another its name.
std::string FamilyOfSample(const std::string& name, const Exposition& page) {
  for (const char* suffix : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(suffix)) continue;
    const std::string base = name.substr(0, name.size() - std::string(suffix).size());
    const auto found = page.families.find(base);
    if (found != page.families.end() && found->second.type == "histogram") return base;
  }
  return name;
}

std::string NameOf(const std::string& sample) { return sample.substr(0, sample.find('{')); }

// A bucket's place: its sample without `le`, and the bound.
struct Bucket {
  std::string series;
  double bound;
};

std::optional<Bucket> BucketOf(const std::string& sample) {
  static const std::regex kBound(R"re(,?le="([^"]*)")re");
  std::smatch match;
  if (!std::regex_search(sample, match, kBound)) return std::nullopt;
  const std::string bound = match[1];
  std::string series = match.prefix().str() + match.suffix().str();
  if (series.ends_with("{}")) series.resize(series.size() - 2);
  return Bucket{series, bound == "+Inf" ? std::numeric_limits<double>::infinity()
                                        : std::strtod(bound.c_str(), nullptr)};
}

std::string CheckBuckets(const Exposition& page) {
  std::map<std::string, std::map<double, double>> histograms;
  for (const auto& [sample, value] : page.samples) {
    if (!NameOf(sample).ends_with("_bucket")) continue;
    const std::optional<Bucket> bucket = BucketOf(sample);
    if (!bucket) return sample + ": has no bound";
    histograms[bucket->series][bucket->bound] = value;
  }
  for (const auto& [series, buckets] : histograms) {
    double below = 0.0;
    for (const auto& [bound, value] : buckets) {
      if (value < below) return series + ": a bucket is less than the one below";
      below = value;
    }
    std::string count = series;
    count.replace(count.find("_bucket"), 7, "_count");
    if (buckets.rbegin()->first != std::numeric_limits<double>::infinity() || below != page[count])
      return series + ": the last bucket is not the count";
  }
  return {};
}

// Reads a page line by line.
class Reader {
 public:
  std::string ReadLine(const std::string& line) {
    static const std::regex kComment(R"(# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))");
    static const std::regex kSample(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*"(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*")*\})?) ([^ ]+))re");
    std::smatch match;
    if (std::regex_match(line, match, kComment))
      return match[1] == "HELP" ? Help(match[2], match[3]) : Type(match[2], match[3]);
    if (std::regex_match(line, match, kSample)) return Sample(match[1], match[2]);
    return "is neither a comment nor a sample";
  }
  Exposition Take() { return std::move(page_); }

 private:
  std::string Help(const std::string& name, const std::string& text) {
    if (!page_.families.emplace(name, Exposition::Family{text, ""}).second) return "comes again";
    family_ = name;
    return {};
  }
  std::string Type(const std::string& name, const std::string& type) {
    static const std::set<std::string> kTypes = {"counter", "gauge", "histogram"};
    if (name != family_ || !page_.families[name].type.empty()) return "is not behind its HELP";
    if (!kTypes.contains(type)) return "has no type of ours";
    if ((type == "counter") != name.ends_with("_total")) return "has another type than its name";
    page_.families[name].type = type;
    return {};
  }
  std::string Sample(const std::string& sample, const std::string& text) {
    if (FamilyOfSample(NameOf(sample), page_) != family_) return "is not among its family";
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || *end != '\0') return "has no number";
    if (page_.families[family_].type != "gauge" && value < 0.0) return "counts below 0";
    return page_.samples.emplace(sample, value).second ? "" : "is there twice";
  }

  Exposition page_;
  std::string family_;  // that the samples belong to
};

}  // namespace

double Exposition::operator[](const std::string& sample) const {
  const auto found = samples.find(sample);
  return found == samples.end() ? -1.0 : found->second;
}

double Exposition::SumOf(const std::string& beginning) const {
  double sum = 0.0;
  for (const auto& [sample, value] : samples)
    if (sample.starts_with(beginning)) sum += value;
  return sum;
}

size_t Exposition::CountWith(const std::string& text) const {
  return static_cast<size_t>(std::ranges::count_if(
      samples, [&](const auto& sample) { return sample.first.find(text) != std::string::npos; }));
}

Result<Exposition> ParseExposition(const std::string& text) {
  if (!text.ends_with('\n')) return InvalidArgument("the page does not end with a line's end");
  Reader reader;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::string fault = reader.ReadLine(line);
    if (!fault.empty()) return InvalidArgument("the line " + line + ": " + fault);
  }
  Exposition page = reader.Take();
  const std::string fault = CheckBuckets(page);
  if (!fault.empty()) return InvalidArgument(fault);
  return page;
}

std::string FallenCounter(const Exposition& before, const Exposition& after) {
  for (const auto& [sample, value] : before.samples) {
    const std::string family = FamilyOfSample(NameOf(sample), before);
    if (before.families.at(family).type != "gauge" && after[sample] < value) return sample;
  }
  return {};
}

}  // namespace forge::testing
