#include "engine/gguf/gguf_parser.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/shard_name.h"
#include "engine/gguf/tensor_types.h"
#include "kernels/base/checked_math.h"

namespace forge {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF numbers are copied as they are");

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kHeaderBytes = 24;
constexpr uint64_t kMaxBytes = std::numeric_limits<int64_t>::max();  // of a size or an offset
// The least that a key-value pair and a directory entry take: lengths, one character, one value.
constexpr uint64_t kMinPairBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kMinTensorInfoBytes = 8 + 1 + 4 + 8 + 4 + 8;

bool IsPrintableAscii(char c) { return c >= 0x20 && c < 0x7f; }

class Parser {
 public:
  explicit Parser(FileCursor& cursor) : cursor_(cursor) {}

  Result<GgufHeader> Parse();

 private:
  // Header.
  Status ReadMagic();
  Status ReadVersion();
  Status ReadCounts();

  // Metadata.
  Status ReadPair(uint64_t index);
  Result<GgufValue> ReadValue();
  Result<GgufArray> ReadArray();
  Status ReadElements(uint64_t n, GgufArray& array);
  template <typename T>
  Status ReadNumbers(uint64_t n, GgufArray& array);
  Status ReadBools(uint64_t n, GgufArray& array);
  Status ReadStrings(uint64_t n, GgufArray& array);
  Status ReadAlignment();
  Status CheckShardCount() const;

  // Tensor directory.
  Status ReadTensorInfo(uint64_t index);
  Status ReadShape(GgufTensor& tensor);
  Status ReadTensorType(uint64_t n_elements, GgufTensor& tensor);
  Status ReadTensorOffset(GgufTensor& tensor);
  Status PlaceTensors();

  // Reads a number as it lies in the file. `member` names it within the current entry.
  template <typename T>
  Result<T> Read(std::string_view member) {
    FORGE_TRY(Need(sizeof(T), member));
    T value;
    FORGE_TRY(cursor_.Read(std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  // A length of at most `limit` and of at most the bytes that are left.
  Result<uint64_t> ReadLength(std::string_view member, uint64_t limit);
  // Such a length and that many bytes.
  Result<std::string> ReadText(std::string_view member, uint64_t limit);
  // kDataLoss unless the file has `n_bytes` left; kInvalidArgument where the header would be larger
  // than headers may be.
  Status Need(uint64_t n_bytes, std::string_view member) const;

  GgufField Field(std::string_view member, std::string value, uint64_t offset) const;

  FileCursor& cursor_;
  GgufHeader header_;
  uint64_t n_tensors_ = 0;
  uint64_t n_keys_ = 0;
  uint32_t alignment_ = 32;
  uint64_t data_bytes_ = 0;  // end of the last tensor seen, from the start of the data
  std::set<std::string> tensor_names_;
  std::string entry_;  // the key or tensor being read, for messages; empty in the header
};

Result<GgufHeader> Parser::Parse() {
  FORGE_TRY(ReadMagic());
  FORGE_TRY(ReadVersion());
  FORGE_TRY(ReadCounts());
  for (uint64_t i = 0; i < n_keys_; ++i) FORGE_TRY(ReadPair(i));
  FORGE_TRY(ReadAlignment());
  FORGE_TRY(CheckShardCount());
  for (uint64_t i = 0; i < n_tensors_; ++i) FORGE_TRY(ReadTensorInfo(i));
  FORGE_TRY(PlaceTensors());
  return std::move(header_);
}

Status Parser::ReadMagic() {
  std::string magic(std::min<uint64_t>(kMagic.size(), cursor_.size_bytes()), '\0');
  FORGE_TRY(cursor_.Read(std::as_writable_bytes(std::span(magic))));
  if (!kMagic.starts_with(magic))
    return InvalidField("this is no GGUF file, which starts with \"GGUF\"",
                        Field("magic", QuoteText(magic), 0));
  if (cursor_.size_bytes() < kHeaderBytes)
    return TruncatedField("the file is shorter than a header of 24 bytes",
                          Field("file size", std::to_string(cursor_.size_bytes()), 0));
  return Status();
}

Status Parser::ReadVersion() {
  const uint64_t offset = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(header_.version, Read<uint32_t>("version"));
  const GgufField field = Field("version", std::to_string(header_.version), offset);
  if (header_.version != 0 && (header_.version & 0xffff) == 0)
    return InvalidField("the file is big-endian; convert it to little-endian", field);
  if (header_.version != 2 && header_.version != 3)
    return InvalidField("versions 2 and 3 of GGUF can be read; convert the file", field);
  return Status();
}

Status Parser::ReadCounts() {
  const uint64_t offset = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(n_tensors_, Read<uint64_t>("n_tensors"));
  FORGE_ASSIGN_OR_RETURN(n_keys_, Read<uint64_t>("n_kv"));
  if (n_tensors_ > GgufLimits::kTensors)
    return InvalidField("a file has at most 65536 tensors",
                        Field("n_tensors", std::to_string(n_tensors_), offset));
  if (n_keys_ > GgufLimits::kKeys)
    return InvalidField("a file has at most 65536 keys",
                        Field("n_kv", std::to_string(n_keys_), offset + 8));
  return Need(n_keys_ * kMinPairBytes + n_tensors_ * kMinTensorInfoBytes, "n_kv and n_tensors");
}

Status Parser::ReadPair(uint64_t index) {
  entry_ = "metadata[" + std::to_string(index) + "]";
  const uint64_t text_offset = cursor_.offset() + 8;
  FORGE_ASSIGN_OR_RETURN(std::string key, ReadText("key", GgufLimits::kKeyBytes));
  if (key.empty())
    return InvalidField("a key has at least one character", Field("key", "\"\"", text_offset - 8));
  const auto bad = std::ranges::find_if_not(key, IsPrintableAscii);
  if (bad != key.end())
    return InvalidField(
        "a key is printable ASCII",
        Field("key", QuoteText(key), text_offset + static_cast<uint64_t>(bad - key.begin())));
  entry_ = EscapeText(key);
  FORGE_ASSIGN_OR_RETURN(GgufValue value, ReadValue());
  return header_.metadata.Add(std::move(key), std::move(value));
}

bool IsGgufType(uint32_t type) { return type <= static_cast<uint32_t>(GgufType::kFloat64); }

// The first element of an array of numbers, in the type that GgufValue keeps it in.
struct WidenFirst {
  using Value = decltype(GgufValue::value);

  template <typename T>
  Value operator()(const std::vector<T>& numbers) const {
    const T number = numbers.front();
    if constexpr (std::is_same_v<T, bool>) {
      return number;
    } else if constexpr (std::is_floating_point_v<T>) {
      return double{number};
    } else if constexpr (std::is_signed_v<T>) {
      return int64_t{number};
    } else {
      return uint64_t{number};
    }
  }
  Value operator()(const GgufStrings& strings) const { return std::string(strings[0]); }
};

Result<GgufValue> Parser::ReadValue() {
  GgufValue value;
  value.offset = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(const uint32_t type, Read<uint32_t>("value type"));
  if (!IsGgufType(type))
    return InvalidField("value types are 0 to 12",
                        Field("value type", std::to_string(type), value.offset));
  value.type = static_cast<GgufType>(type);
  if (value.type == GgufType::kArray) {
    FORGE_ASSIGN_OR_RETURN(value.value, ReadArray());
    return value;
  }
  if (value.type == GgufType::kString) {
    FORGE_ASSIGN_OR_RETURN(value.value, ReadText("string", GgufLimits::kStringBytes));
    return value;
  }
  // A lone number is read as an array of one, so that each type is read in one place.
  GgufArray single{.element_type = value.type, .values = {}};
  FORGE_TRY(ReadElements(1, single));
  value.value = std::visit(WidenFirst{}, single.values);
  return value;
}

Result<GgufArray> Parser::ReadArray() {
  GgufArray array;
  const uint64_t offset = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(const uint32_t type, Read<uint32_t>("element type"));
  if (!IsGgufType(type))
    return InvalidField("value types are 0 to 12",
                        Field("element type", std::to_string(type), offset));
  array.element_type = static_cast<GgufType>(type);
  if (array.element_type == GgufType::kArray)
    return InvalidField("arrays of arrays are not accepted",
                        Field("element type", std::to_string(type), offset));
  FORGE_ASSIGN_OR_RETURN(const uint64_t n, Read<uint64_t>("array length"));
  if (n > GgufLimits::kArrayElements)
    return InvalidField("an array has at most 67108864 elements",
                        Field("array length", std::to_string(n), offset + 4));
  FORGE_TRY(ReadElements(n, array));
  return array;
}

Status Parser::ReadElements(uint64_t n, GgufArray& array) {
  switch (array.element_type) {
    case GgufType::kUint8:
      return ReadNumbers<uint8_t>(n, array);
    case GgufType::kInt8:
      return ReadNumbers<int8_t>(n, array);
    case GgufType::kUint16:
      return ReadNumbers<uint16_t>(n, array);
    case GgufType::kInt16:
      return ReadNumbers<int16_t>(n, array);
    case GgufType::kUint32:
      return ReadNumbers<uint32_t>(n, array);
    case GgufType::kInt32:
      return ReadNumbers<int32_t>(n, array);
    case GgufType::kUint64:
      return ReadNumbers<uint64_t>(n, array);
    case GgufType::kInt64:
      return ReadNumbers<int64_t>(n, array);
    case GgufType::kFloat32:
      return ReadNumbers<float>(n, array);
    case GgufType::kFloat64:
      return ReadNumbers<double>(n, array);
    case GgufType::kBool:
      return ReadBools(n, array);
    case GgufType::kString:
      return ReadStrings(n, array);
    case GgufType::kArray:
      break;
  }
  return Internal("an array is no element");
}

template <typename T>
Status Parser::ReadNumbers(uint64_t n, GgufArray& array) {
  FORGE_TRY(Need(n * sizeof(T), "value"));
  auto& numbers = array.values.emplace<std::vector<T>>(n);
  return cursor_.Read(std::as_writable_bytes(std::span(numbers)));
}

Status Parser::ReadBools(uint64_t n, GgufArray& array) {
  FORGE_TRY(Need(n, "value"));
  auto& bools = array.values.emplace<std::vector<bool>>();
  bools.reserve(n);
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t offset = cursor_.offset();
    FORGE_ASSIGN_OR_RETURN(const uint8_t byte, Read<uint8_t>("value"));
    if (byte > 1)
      return InvalidField("a BOOL is 0 or 1", Field("value", std::to_string(byte), offset));
    bools.push_back(byte == 1);
  }
  return Status();
}

// Reads the lengths first and then the text, so that one block of exactly its size holds the text
// and none larger was needed while it grew.
Status Parser::ReadStrings(uint64_t n, GgufArray& array) {
  FORGE_TRY(Need(n * sizeof(uint64_t), "value"));  // each has a length at least
  const uint64_t start = cursor_.offset();
  std::vector<uint64_t> ends;
  ends.reserve(n);
  uint64_t text_bytes = 0;
  for (uint64_t i = 0; i < n; ++i) {
    FORGE_ASSIGN_OR_RETURN(const uint64_t length, ReadLength("string", GgufLimits::kStringBytes));
    cursor_.Seek(cursor_.offset() + length);
    text_bytes += length;  // all lie within the file
    ends.push_back(text_bytes);
  }
  cursor_.Seek(start);
  std::string text(text_bytes, '\0');
  std::span<std::byte> unread = std::as_writable_bytes(std::span(text));
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t length = ends[i] - (i == 0 ? 0 : ends[i - 1]);
    cursor_.Seek(cursor_.offset() + sizeof(uint64_t));
    FORGE_TRY(cursor_.Read(unread.first(length)));
    unread = unread.subspan(length);
  }
  array.values.emplace<GgufStrings>(std::move(text), std::move(ends));
  return Status();
}

Status Parser::ReadAlignment() {
  constexpr std::string_view kKey = "general.alignment";
  const GgufValue* const value = header_.metadata.Find(kKey);
  if (value == nullptr) return Status();
  if (value->type != GgufType::kUint32)
    return InvalidField("the key needs a value of type UINT32",
                        {std::string(kKey), std::string(GgufTypeName(value->type)), value->offset});
  const uint64_t alignment = std::get<uint64_t>(value->value);
  if (!std::has_single_bit(alignment) || alignment > GgufLimits::kAlignment)
    return InvalidField("the alignment is a power of two, at most 65536",
                        {std::string(kKey), std::to_string(alignment), value->offset});
  alignment_ = static_cast<uint32_t>(alignment);
  return Status();
}

Status Parser::CheckShardCount() const {
  constexpr std::string_view kKey = "split.count";
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> n_shards, header_.metadata.Uint32(kKey));
  if (!n_shards || (*n_shards > 0 && *n_shards <= kMaxShards)) return Status();
  return InvalidField(
      "a model is split into 1 to 256 files",
      {std::string(kKey), std::to_string(*n_shards), header_.metadata.Find(kKey)->offset});
}

Status Parser::ReadTensorInfo(uint64_t index) {
  entry_ = "tensors[" + std::to_string(index) + "]";
  GgufTensor tensor;
  tensor.info_offset_bytes = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(tensor.name, ReadText("name", GgufLimits::kTensorNameBytes));
  const GgufField name = Field("name", QuoteText(tensor.name), tensor.info_offset_bytes);
  if (tensor.name.empty()) return InvalidField("a tensor has a name", name);
  if (!std::ranges::all_of(tensor.name, IsPrintableAscii))
    return InvalidField("a tensor name is printable ASCII", name);
  if (!tensor_names_.insert(tensor.name).second)
    return InvalidField("a tensor name appears once", name);
  entry_ = EscapeText(tensor.name);
  FORGE_TRY(ReadShape(tensor));
  FORGE_TRY(ReadTensorOffset(tensor));
  header_.tensors.push_back(std::move(tensor));
  return Status();
}

Status Parser::ReadShape(GgufTensor& tensor) {
  uint64_t offset = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_dims, Read<uint32_t>("n_dims"));
  if (n_dims == 0 || n_dims > GgufLimits::kDimensions)
    return InvalidField("a tensor has 1 to 4 dimensions",
                        Field("n_dims", std::to_string(n_dims), offset));
  tensor.n_dims = static_cast<int>(n_dims);
  uint64_t n_elements = 1;
  for (uint32_t i = 0; i < n_dims; ++i) {
    const std::string member = "ne[" + std::to_string(i) + "]";
    offset = cursor_.offset();
    FORGE_ASSIGN_OR_RETURN(const uint64_t extent, Read<uint64_t>(member));
    const GgufField field = Field(member, std::to_string(extent), offset);
    if (extent == 0) return InvalidField("a dimension is at least 1", field);
    const std::optional<uint64_t> product = CheckedMul(n_elements, extent);
    if (!product || *product > kMaxBytes)
      return InvalidField("a tensor has fewer than 2^63 elements", field);
    tensor.shape[i] = extent;
    n_elements = *product;
  }
  return ReadTensorType(n_elements, tensor);
}

Status Parser::ReadTensorType(uint64_t n_elements, GgufTensor& tensor) {
  const uint64_t offset = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(const uint32_t id, Read<uint32_t>("type"));
  tensor.dtype = DType{id};
  const TensorType* const type = FindTensorType(tensor.dtype);
  if (type == nullptr)
    return InvalidField("the tensor type is not one that GGUF defines",
                        Field("type", std::to_string(id), offset));
  if (tensor.row_elements() % type->block_elements != 0)
    return InvalidField("a row of type " + std::string(type->name) + " is a multiple of " +
                            std::to_string(type->block_elements) + " elements",
                        Field("ne[0]", std::to_string(tensor.row_elements()),
                              offset - sizeof(uint64_t) * static_cast<uint64_t>(tensor.n_dims)));
  const std::optional<uint64_t> size =
      CheckedMul(n_elements / type->block_elements, type->block_bytes);
  if (!size || *size > kMaxBytes)
    return InvalidField(
        "a tensor of type " + std::string(type->name) + " takes fewer than 2^63 bytes",
        Field("elements", std::to_string(n_elements), offset));
  tensor.size_bytes = *size;
  return Status();
}

// Leaves the offset relative to the start of the data; PlaceTensors makes it absolute.
Status Parser::ReadTensorOffset(GgufTensor& tensor) {
  const uint64_t offset = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(tensor.offset_bytes, Read<uint64_t>("offset"));
  const GgufField field = Field("offset", std::to_string(tensor.offset_bytes), offset);
  if (tensor.offset_bytes % alignment_ != 0)
    return InvalidField(
        "a tensor lies at a multiple of the alignment, " + std::to_string(alignment_), field);
  const uint64_t expected = *CheckedAlignUp(data_bytes_, alignment_);  // below 2^63 + 2^16
  if (tensor.offset_bytes < expected)
    return InvalidField(
        "the tensor overlaps the one before, which ends at " + std::to_string(data_bytes_), field);
  if (tensor.offset_bytes > expected)
    return InvalidField(
        "there is a gap before the tensor, which belongs at " + std::to_string(expected), field);
  const std::optional<uint64_t> end = CheckedAdd(expected, tensor.size_bytes);
  if (!end || *end > kMaxBytes)
    return InvalidField("the tensors of a file take fewer than 2^63 bytes", field);
  data_bytes_ = *end;
  return Status();
}

Status Parser::PlaceTensors() {
  const uint64_t data_start = *CheckedAlignUp(cursor_.offset(), alignment_);
  for (GgufTensor& tensor : header_.tensors) {
    tensor.offset_bytes += data_start;  // both below 2^63
    const std::optional<uint64_t> end = CheckedAdd(tensor.offset_bytes, tensor.size_bytes);
    if (end && *end <= cursor_.size_bytes()) continue;
    entry_ = EscapeText(tensor.name);
    return TruncatedField(
        "the file ends at byte " + std::to_string(cursor_.size_bytes()) +
            ", within the data of a tensor; it is incomplete, fetch or copy it again",
        Field("data", std::to_string(tensor.size_bytes) + " bytes", tensor.offset_bytes));
  }
  return Status();
}

Result<uint64_t> Parser::ReadLength(std::string_view member, uint64_t limit) {
  const std::string length_member = std::string(member) + " length";
  const uint64_t offset = cursor_.offset();
  FORGE_ASSIGN_OR_RETURN(const uint64_t length, Read<uint64_t>(length_member));
  if (length > limit)
    return InvalidField("the length is at most " + std::to_string(limit) + " bytes",
                        Field(length_member, std::to_string(length), offset));
  FORGE_TRY(Need(length, member));
  return length;
}

Result<std::string> Parser::ReadText(std::string_view member, uint64_t limit) {
  FORGE_ASSIGN_OR_RETURN(const uint64_t length, ReadLength(member, limit));
  std::string text(length, '\0');
  FORGE_TRY(cursor_.Read(std::as_writable_bytes(std::span(text))));
  return text;
}

Status Parser::Need(uint64_t n_bytes, std::string_view member) const {
  const auto needed = [&] {
    return Field(member, std::to_string(n_bytes) + " bytes needed", cursor_.offset());
  };
  if (n_bytes > cursor_.remaining())
    return TruncatedField("the file ends at byte " + std::to_string(cursor_.size_bytes()) +
                              "; it is incomplete or a length in it is wrong",
                          needed());
  // What lies in a hole of a file costs its sender nothing, but it costs us memory.
  if (n_bytes > GgufLimits::kHeaderBytes || cursor_.offset() > GgufLimits::kHeaderBytes - n_bytes)
    return InvalidField("the header, all before the tensor data, takes at most 268435456 bytes",
                        needed());
  return Status();
}

GgufField Parser::Field(std::string_view member, std::string value, uint64_t offset) const {
  const std::string name =
      entry_.empty() ? std::string(member) : entry_ + " (" + std::string(member) + ")";
  return {name, std::move(value), offset};
}

}  // namespace

Result<GgufHeader> ParseGguf(FileCursor& cursor) { return Parser(cursor).Parse(); }

}  // namespace forge
