#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace forge::testing {

// The pieces that GGUF files are made of, as their bytes.
std::string LittleEndian32(uint32_t value);
std::string LittleEndian64(uint64_t value);
std::string FloatBytes(std::span<const float> values);
// A length of 8 bytes, then the text.
std::string GgufString(std::string_view text);

// Writes GGUF files for tests, valid ones and ones that are wrong in exactly one place.
//
// Keys and tensors appear in the order in which they were added; tensor data is laid out one after
// the other, each at the next multiple of the alignment. Nothing is checked.
class GgufBuilder {
 public:
  // Metadata. Adding a key twice writes it twice.
  GgufBuilder& AddUint32(std::string_view key, uint32_t value);
  GgufBuilder& AddInt32(std::string_view key, int32_t value);
  GgufBuilder& AddUint64(std::string_view key, uint64_t value);
  GgufBuilder& AddFloat32(std::string_view key, float value);
  GgufBuilder& AddBool(std::string_view key, bool value);
  GgufBuilder& AddString(std::string_view key, std::string_view value);
  GgufBuilder& AddUint32Array(std::string_view key, std::span<const uint32_t> values);
  GgufBuilder& AddInt32Array(std::string_view key, std::span<const int32_t> values);
  GgufBuilder& AddFloat32Array(std::string_view key, std::span<const float> values);
  GgufBuilder& AddStringArray(std::string_view key, std::span<const std::string> values);
  // A key with any type number and any bytes for a value.
  GgufBuilder& AddRaw(std::string_view key, uint32_t type, std::string_view value_bytes);
  // Any bytes in place of a whole key-value pair.
  GgufBuilder& AddRawPair(std::string_view bytes);

  // Tensors. `shape[0]` is the row length, `type` GGUF's type id.
  GgufBuilder& AddTensor(std::string_view name, std::span<const uint64_t> shape, uint32_t type,
                         std::string data);
  GgufBuilder& AddF32Tensor(std::string_view name, std::span<const uint64_t> shape,
                            std::span<const float> values);
  // A directory entry with any numbers, and no data.
  GgufBuilder& AddTensorInfo(std::string_view name, uint32_t n_dims,
                             std::span<const uint64_t> shape, uint32_t type, uint64_t offset);

  // The header. Counts that are not set are the true ones.
  GgufBuilder& SetMagic(std::string_view magic);
  GgufBuilder& SetVersion(uint32_t version);
  GgufBuilder& SetTensorCount(uint64_t count);
  GgufBuilder& SetKeyCount(uint64_t count);
  // Lays data out at multiples of `alignment` (32 unless set); writes no key.
  GgufBuilder& SetAlignment(uint64_t alignment);

  std::string Build() const;

 private:
  struct Tensor {
    std::string name;
    uint32_t n_dims;
    std::vector<uint64_t> shape;
    uint32_t type;
    std::optional<uint64_t> offset;  // unset: where its data lies
    std::string data;
  };

  std::string magic_ = "GGUF";
  uint32_t version_ = 3;
  uint64_t alignment_ = 32;
  std::optional<uint64_t> tensor_count_;
  std::optional<uint64_t> key_count_;
  uint64_t n_keys_ = 0;
  std::string metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace forge::testing
