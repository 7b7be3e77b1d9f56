#include "gateway/translate/embedding_answer.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace forge::gateway {

EmbeddingAnswer::EmbeddingAnswer(std::string model, bool is_base64)
    : model_(std::move(model)), is_base64_(is_base64) {}

void EmbeddingAnswer::Take(const v1::EmbedResponse& response) {
  n_tokens_ += response.token_count();
  const std::vector<float> values(response.values().begin(), response.values().end());
  if (!data_.empty()) data_ += ",";
  data_ += Dump({{"object", "embedding"},
                 {"index", response.index()},
                 {"embedding", is_base64_ ? Json(Base64(values)) : Json(values)}});
}

std::string EmbeddingAnswer::Body() const {
  const Json usage = {{"prompt_tokens", n_tokens_}, {"total_tokens", n_tokens_}};
  return R"({"object":"list","data":[)" + data_ + R"(],"model":)" + Dump(model_) + R"(,"usage":)" +
         Dump(usage) + "}";
}

std::string Base64(const std::vector<float>& values) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<uint32_t> bytes;
  for (const float value : values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back((bits >> shift) & 0xff);
  }
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = bytes[i] << 16;
    if (n > 1) group |= bytes[i + 1] << 8;
    if (n > 2) group |= bytes[i + 2];
    for (size_t digit = 0; digit < 4; ++digit)
      text += digit <= n ? kDigits[(group >> (18 - 6 * digit)) & 63] : '=';
  }
  return text;
}

}  // namespace forge::gateway
