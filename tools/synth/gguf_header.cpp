#include "tools/synth/gguf_header.h"

#include <bit>

namespace forge {
namespace {

// GGUF's numbers for the types of values.
constexpr uint32_t kUint32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7, kString = 8, kArray = 9;
constexpr uint32_t kVersion = 3;

void Append32(std::string& to, uint32_t value) {
  for (int i = 0; i < 4; ++i) to.push_back(static_cast<char>(value >> (8 * i)));
}

void Append64(std::string& to, uint64_t value) {
  for (int i = 0; i < 8; ++i) to.push_back(static_cast<char>(value >> (8 * i)));
}

void AppendText(std::string& to, std::string_view text) {
  Append64(to, text.size());
  to += text;
}

}  // namespace

uint64_t GgufTensorEntry::n_elements() const {
  uint64_t n = 1;
  for (const uint64_t extent : extents) n *= extent;
  return n;
}

uint64_t AlignedSize(uint64_t bytes) {
  constexpr uint64_t kMask = GgufHeaderWriter::kAlignment - 1;
  return (bytes + kMask) & ~kMask;
}

void GgufHeaderWriter::AddKey(std::string_view key, uint32_t type) {
  AppendText(metadata_, key);
  Append32(metadata_, type);
  ++n_keys_;
}

void GgufHeaderWriter::Add(std::string_view key, uint32_t value) {
  AddKey(key, kUint32);
  Append32(metadata_, value);
}

void GgufHeaderWriter::Add(std::string_view key, float value) {
  AddKey(key, kFloat32);
  Append32(metadata_, std::bit_cast<uint32_t>(value));
}

void GgufHeaderWriter::Add(std::string_view key, bool value) {
  AddKey(key, kBool);
  metadata_.push_back(value ? '\1' : '\0');
}

void GgufHeaderWriter::Add(std::string_view key, std::string_view value) {
  AddKey(key, kString);
  AppendText(metadata_, value);
}

void GgufHeaderWriter::Add(std::string_view key, std::span<const int32_t> values) {
  AddKey(key, kArray);
  Append32(metadata_, kInt32);
  Append64(metadata_, values.size());
  for (const int32_t value : values) Append32(metadata_, static_cast<uint32_t>(value));
}

void GgufHeaderWriter::Add(std::string_view key, const std::vector<bool>& values) {
  AddKey(key, kArray);
  Append32(metadata_, kBool);
  Append64(metadata_, values.size());
  for (const bool value : values) metadata_.push_back(value ? '\1' : '\0');
}

void GgufHeaderWriter::Add(std::string_view key, std::span<const std::string> values) {
  AddKey(key, kArray);
  Append32(metadata_, kString);
  Append64(metadata_, values.size());
  for (const std::string& value : values) AppendText(metadata_, value);
}

std::string GgufHeaderWriter::Finish(std::span<GgufTensorEntry> tensors) {
  std::string header = "GGUF";
  Append32(header, kVersion);
  Append64(header, tensors.size());
  Append64(header, n_keys_);
  header += metadata_;
  uint64_t offset = 0;
  for (GgufTensorEntry& tensor : tensors) {
    tensor.offset_bytes = offset;
    AppendText(header, tensor.name);
    Append32(header, static_cast<uint32_t>(tensor.extents.size()));
    for (const uint64_t extent : tensor.extents) Append64(header, extent);
    Append32(header, static_cast<uint32_t>(tensor.format->dtype));
    Append64(header, offset);
    offset += AlignedSize(tensor.size_bytes());
  }
  header.resize(AlignedSize(header.size()), '\0');
  return header;
}

}  // namespace forge
