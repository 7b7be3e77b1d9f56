#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/base/result.h"

namespace forge {

// The value types of GGUF metadata, with the numbers of the file format.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

std::string_view GgufTypeName(GgufType type);

// Holds the strings of an array one after the other. Each takes its text and 8 bytes, as in the
// file, where 8 bytes hold its length.
class GgufStrings {
 public:
  GgufStrings() = default;
  // `text` is the strings without anything between them, `ends[i]` where string i ends in it.
  // REQUIRES: `ends` ascends, and its last is text.size().
  GgufStrings(std::string text, std::vector<uint64_t> ends);

  size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  // REQUIRES: index < size().
  std::string_view operator[](size_t index) const;

 private:
  std::string text_;
  std::vector<uint64_t> ends_;
};

// A one-dimensional array. Elements take no more memory than they take in the file, so numbers keep
// their width.
struct GgufArray {
  GgufType element_type = GgufType::kUint8;
  std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>,
               std::vector<int16_t>, std::vector<uint32_t>, std::vector<int32_t>,
               std::vector<uint64_t>, std::vector<int64_t>, std::vector<float>, std::vector<double>,
               std::vector<bool>, GgufStrings>
      values;
  size_t size() const;
};

// One metadata value and the file offset of its type field, for messages. Lone integers and floats
// are widened; `type` keeps what the file says.
struct GgufValue {
  GgufType type = GgufType::kUint8;
  uint64_t offset = 0;
  std::variant<int64_t, uint64_t, double, bool, std::string, GgufArray> value;
};

// As it is shown in messages: "12", "true", "\"text\"" escaped, "array of 3 INT32".
std::string DescribeValue(const GgufValue& value);

// Holds the metadata of a GGUF file and hands it out by type.
//
// Every getter answers nullopt for an absent key, and kInvalidArgument (reason MODEL_FILE_INVALID)
// naming key, found type or value, expected type and offset for a key of the wrong type or range;
// a missing key never becomes 0. Thread-compatible. Pointers and views live as long as the object,
// also when it is moved; it is not copied.
class GgufMetadata {
 public:
  GgufMetadata() = default;
  GgufMetadata(GgufMetadata&&) = default;
  GgufMetadata& operator=(GgufMetadata&&) = default;

  // kInvalidArgument if the key is there already.
  Status Add(std::string key, GgufValue value);

  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  const GgufValue* Find(std::string_view key) const;
  size_t size() const { return values_.size(); }
  // In file order.
  const std::vector<std::string_view>& keys() const { return keys_; }

  // Any integer type that holds a value in [0, 2^32).
  Result<std::optional<uint32_t>> Uint32(std::string_view key) const;
  // Any integer type that holds a value in [0, 2^64).
  Result<std::optional<uint64_t>> Uint64(std::string_view key) const;
  // Float32 or Float64; must be finite.
  Result<std::optional<double>> Float(std::string_view key) const;
  Result<std::optional<bool>> Bool(std::string_view key) const;
  Result<std::optional<std::string_view>> String(std::string_view key) const;
  // nullptr if absent.
  Result<const GgufStrings*> StringArray(std::string_view key) const;
  // nullptr if absent; any array type.
  Result<const GgufArray*> Array(std::string_view key) const;
  // nullopt if absent; an array of Float32 or Float64.
  Result<std::optional<std::vector<float>>> FloatArray(std::string_view key) const;
  // nullopt if absent; an array of Int32 or Uint32.
  Result<std::optional<std::vector<int32_t>>> Int32Array(std::string_view key) const;

 private:
  std::map<std::string, GgufValue, std::less<>> values_;
  std::vector<std::string_view> keys_;  // views into values_
};

}  // namespace forge
