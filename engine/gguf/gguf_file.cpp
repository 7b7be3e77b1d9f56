#include "engine/gguf/gguf_file.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/gguf/file_cursor.h"
#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_parser.h"
#include "engine/gguf/shard_name.h"
#include "kernels/base/checked_math.h"

namespace forge {
namespace {

constexpr std::string_view kSplitCount = "split.count";
constexpr std::string_view kSplitNumber = "split.no";
constexpr std::string_view kSplitTensors = "split.tensors.count";

Result<GgufHeader> ReadHeader(const CheckedFile& file) {
  FileCursor cursor(file.descriptor(), file.size_bytes());
  Result<GgufHeader> header = ParseGguf(cursor);
  // A fault found while the file was being written to is the writing's.
  FORGE_TRY(file.CheckUnchanged());
  if (!header.ok()) return header.status().WithContext(NameOfModelFile(file.path()));
  return header;
}

GgufField FieldOf(const GgufMetadata& metadata, std::string_view key) {
  const GgufValue& value = *metadata.Find(key);
  return {std::string(key), DescribeValue(value), value.offset};
}

// How many files the model has. The parser has checked the key.
uint32_t ShardCount(const GgufHeader& header) {
  return header.metadata.Uint32(kSplitCount)->value_or(1);
}

// The key, which must be there and have this value.
Status CheckKey(const GgufMetadata& metadata, std::string_view key, uint64_t expected,
                std::string_view rule) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint64_t> value, metadata.Uint64(key));
  if (!value) return MissingField(rule, key);
  if (*value != expected) return InvalidField(rule, FieldOf(metadata, key));
  return Status();
}

// Whether `shard` is that of shard `name.number` of the model whose first shard has `first`.
Status CheckShard(const GgufMetadata& shard, const ShardName& name, const GgufMetadata& first) {
  const std::string count = std::to_string(name.count);
  FORGE_TRY(CheckKey(shard, kSplitCount, name.count,
                     "the shards of a model agree with their names, which say " + count));
  FORGE_TRY(CheckKey(shard, kSplitNumber, name.number - 1,
                     "shard " + std::to_string(name.number) + " of " + count +
                         " by its name has the number " + std::to_string(name.number - 1)));
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint64_t> n_tensors, first.Uint64(kSplitTensors));
  if (!n_tensors)
    return MissingField("the first shard says how many tensors all have", kSplitTensors);
  return CheckKey(shard, kSplitTensors, *n_tensors,
                  "the shards of a model name the same number of tensors, the first " +
                      std::to_string(*n_tensors));
}

}  // namespace

Result<std::unique_ptr<GgufFile>> GgufFile::Open(const std::string& path) {
  FORGE_ASSIGN_OR_RETURN(CheckedFile opened, CheckedFile::Open(path));
  FORGE_ASSIGN_OR_RETURN(GgufHeader header, ReadHeader(opened));
  std::unique_ptr<GgufFile> file(new GgufFile);
  if (ShardCount(header) > 1) {
    FORGE_TRY(file->AddShards(std::move(opened), std::move(header)));
  } else {
    FORGE_TRY(file->AddFile(std::move(opened), std::move(header)));
  }
  return file;
}

Result<std::unique_ptr<GgufFile>> GgufFile::FromDescriptor(int descriptor, std::string path) {
  FORGE_ASSIGN_OR_RETURN(CheckedFile opened,
                         CheckedFile::FromDescriptor(descriptor, std::move(path)));
  FORGE_ASSIGN_OR_RETURN(GgufHeader header, ReadHeader(opened));
  if (ShardCount(header) > 1)
    return InvalidField("a shard is opened by its path, so that the others can be found",
                        FieldOf(header.metadata, kSplitCount))
        .WithContext(NameOfModelFile(opened.path()));
  std::unique_ptr<GgufFile> file(new GgufFile);
  FORGE_TRY(file->AddFile(std::move(opened), std::move(header)));
  return file;
}

Status GgufFile::AddShards(CheckedFile opened, GgufHeader header) {
  const std::string path = opened.path();
  const size_t name_at = path.rfind('/') + 1;  // 0 without a folder
  std::optional<ShardName> name = ParseShardName(std::string_view(path).substr(name_at));
  if (!name || name->count != ShardCount(header))
    return InvalidField(
               "a file that is one of several is named like MODEL-00001-of-00003.gguf, with their "
               "number, so that the others can be found",
               FieldOf(header.metadata, kSplitCount))
        .WithContext(NameOfModelFile(path));
  const auto add = [&](CheckedFile file, GgufHeader shard) -> Status {
    const GgufMetadata& first = files_.empty() ? shard.metadata : metadata_;
    const Status status = CheckShard(shard.metadata, *name, first);
    if (!status.ok()) return status.WithContext(NameOfModelFile(file.path()));
    return AddFile(std::move(file), std::move(shard));
  };
  const uint32_t number_of_opened = name->number;
  for (name->number = 1; name->number <= name->count; ++name->number) {
    if (name->number == number_of_opened) {                  // true once
      FORGE_TRY(add(std::move(opened), std::move(header)));  // NOLINT(bugprone-use-after-move)
      continue;
    }
    Result<CheckedFile> shard = CheckedFile::Open(path.substr(0, name_at) + name->FileName());
    if (!shard.ok())
      return shard.status().WithContext("the model is split into " + std::to_string(name->count) +
                                        " files, which belong into one folder");
    FORGE_ASSIGN_OR_RETURN(GgufHeader shard_header, ReadHeader(*shard));
    FORGE_TRY(add(std::move(*shard), std::move(shard_header)));
  }
  return CheckKey(metadata_, kSplitTensors, tensors_.size(),
                  "the shards have as many tensors as the first one says; they have " +
                      std::to_string(tensors_.size()))
      .WithContext(NameOfModelFile(this->path()));
}

Status GgufFile::AddFile(CheckedFile file, GgufHeader header) {
  const uint64_t start = size_bytes_;
  const std::optional<uint64_t> end = CheckedAdd(start, file.size_bytes());
  if (!end || *end > static_cast<uint64_t>(INT64_MAX))
    return OutOfRange("the files of a model take fewer than 2^63 bytes")
        .WithContext(NameOfModelFile(file.path()));
  if (files_.empty()) {
    version_ = header.version;
    metadata_ = std::move(header.metadata);
  }
  size_bytes_ = *end;
  const size_t first = tensors_.size();
  for (GgufTensor& tensor : header.tensors) {
    tensor.offset_bytes += start;
    tensor.info_offset_bytes += start;
    tensors_.push_back(std::move(tensor));
  }
  if (tensors_.size() > GgufLimits::kTensors)
    return InvalidField("a model has at most 65536 tensors in all shards",
                        {"tensor count", std::to_string(tensors_.size()), 8})
        .WithContext(NameOfModelFile(file.path()));
  tensor_by_name_.clear();  // its views were into the vector before it grew
  for (size_t i = 0; i < tensors_.size(); ++i)
    if (!tensor_by_name_.emplace(tensors_[i].name, i).second && i >= first)
      return InvalidField("a tensor name appears once in all shards",
                          {EscapeText(tensors_[i].name) + " (name)", QuoteText(tensors_[i].name),
                           tensors_[i].info_offset_bytes - start})
          .WithContext(NameOfModelFile(file.path()));
  files_.push_back({std::move(file), start});
  return Status();
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = tensor_by_name_.find(name);
  return found != tensor_by_name_.end() ? &tensors_[found->second] : nullptr;
}

Status GgufFile::ReadAt(uint64_t offset_bytes, std::span<std::byte> destination) const {
  const auto after = std::ranges::upper_bound(files_, offset_bytes, {},
                                              [](const Part& part) { return part.start; });
  const Part& part = *std::prev(after);
  return part.file.ReadAt(offset_bytes - part.start, destination);
}

Status GgufFile::CheckUnchanged() const {
  for (const Part& part : files_) FORGE_TRY(part.file.CheckUnchanged());
  return Status();
}

}  // namespace forge
