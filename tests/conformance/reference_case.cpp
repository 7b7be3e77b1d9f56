#include "tests/conformance/reference_case.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/base/check.h"
#include "kernels/base/log_sum_exp.h"

namespace forge::testing {

std::vector<ReferenceCase> ReadReferenceCases(const std::filesystem::path& json_path) {
  std::ifstream stream(json_path);
  FORGE_CHECK(stream.good(), "cannot read " + json_path.string());
  std::vector<ReferenceCase> cases;
  const nlohmann::json file = nlohmann::json::parse(stream);
  for (const nlohmann::json& entry : file.at("cases")) {
    ReferenceCase reference;
    reference.prompt = entry.at("prompt").get<std::vector<TokenId>>();
    reference.text = entry.value("text", "");
    reference.min_margin = entry.value("min_margin", 0.0);
    for (const nlohmann::json& message : entry.value("messages", nlohmann::json::array()))
      reference.messages.push_back({message.at("role"), message.at("content")});
    for (const nlohmann::json& step : entry.at("steps"))
      reference.steps.push_back({step.at("token").get<TokenId>(),
                                 step.at("top").get<std::vector<std::pair<TokenId, double>>>()});
    cases.push_back(std::move(reference));
  }
  return cases;
}

TokenId MostLikely(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double LargestDeviation(std::span<const float> logits, const ReferenceStep& step) {
  const double log_sum_exp = LogSumExp(logits);
  double largest = 0.0;
  for (const auto& [token, logprob] : step.top) {
    const double ours = static_cast<double>(logits[static_cast<size_t>(token)]) - log_sum_exp;
    largest = std::max(largest, std::abs(ours - logprob));
  }
  return largest;
}

double KlDivergence(const ReferenceStep& step, std::span<const float> logits) {
  const double log_sum_exp = LogSumExp(logits);
  double divergence = 0.0, other_p = 1.0, other_q = 1.0;
  for (const auto& [token, log_p] : step.top) {
    const double log_q = static_cast<double>(logits[static_cast<size_t>(token)]) - log_sum_exp;
    divergence += std::exp(log_p) * (log_p - log_q);
    other_p -= std::exp(log_p);
    other_q -= std::exp(log_q);
  }
  // The file rounds log-probabilities to six digits; below that the rest is noise.
  if (other_p > 1e-5 && other_q > 0.0) divergence += other_p * std::log(other_p / other_q);
  return divergence;
}

double KlDivergence(std::span<const float> reference, std::span<const float> logits) {
  const double p_sum = LogSumExp(reference), q_sum = LogSumExp(logits);
  double divergence = 0.0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = static_cast<double>(reference[i]) - p_sum;
    const double log_q = static_cast<double>(logits[i]) - q_sum;
    divergence += std::exp(log_p) * (log_p - log_q);
  }
  return divergence;
}

std::vector<std::string> ModelNames(const std::filesystem::path& directory,
                                    const std::vector<std::string>& prefixes) {
  std::vector<std::string> names;
  if (!std::filesystem::is_directory(directory)) return names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().stem().string();
    const bool wanted =
        std::any_of(prefixes.begin(), prefixes.end(),
                    [&](const std::string& prefix) { return name.starts_with(prefix); });
    if (entry.path().extension() == ".gguf" && wanted) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace forge::testing
