#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_metadata.h"
#include "kernels/base/result.h"

namespace forge {

// Reads the keys of one family, "<architecture>.<name>", each with the range it may have.
//
// Every error is kInvalidArgument (reason MODEL_FILE_INVALID) naming key, value and offset.
// Remembers which keys were asked for. Not thread-safe. Lifetime: the metadata must outlive it.
class KeyReader {
 public:
  KeyReader(const GgufMetadata& metadata, std::string_view architecture)
      : metadata_(metadata), prefix_(std::string(architecture) + ".") {}

  struct Range {
    uint32_t min, max;
  };

  const GgufMetadata& metadata() const { return metadata_; }
  bool Has(std::string_view name) const { return metadata_.Has(Key(name)); }
  // The whole key.
  std::string Key(std::string_view name) const { return prefix_ + std::string(name); }
  // Whether a reader below was asked for the key, there or not.
  bool HasRead(std::string_view name) const { return read_.contains(name); }
  // The value a message is about. REQUIRES: the key is there.
  GgufField Field(std::string_view name) const;
  // The same about one element of an array, or about the number that stands for all.
  GgufField Element(std::string_view name, uint64_t element) const;

  Result<uint32_t> Required(std::string_view name, Range range) const;
  Result<std::optional<uint32_t>> Optional(std::string_view name, Range range) const;
  Result<uint32_t> OptionalOr(std::string_view name, uint32_t fallback, Range range) const;
  // Finite and above 0.
  Result<double> RequiredPositive(std::string_view name) const;
  Result<double> PositiveOr(std::string_view name, double fallback) const;
  // The same where converters write 0 for "as usual".
  Result<double> PositiveUnlessZeroOr(std::string_view name, double fallback) const;
  // A number for each of `n_layers` layers: an array, or one that is that of all.
  Result<std::optional<std::vector<uint32_t>>> OfLayers(std::string_view name, uint32_t n_layers,
                                                        Range range) const;
  // A number, or an array of `n_layers` equal numbers: kUnimplemented (reason
  // ARCHITECTURE_UNSUPPORTED) if they differ.
  Result<std::optional<uint32_t>> UniformOverLayers(std::string_view name, uint32_t n_layers,
                                                    Range range) const;

  // An array of `n_layers` booleans or integers of 0 and 1; nullopt for an absent key or a number.
  Result<std::optional<std::vector<bool>>> FlagsOfLayers(std::string_view name,
                                                         uint32_t n_layers) const;
  // An array of integers, none of them negative; nullopt for an absent key.
  Result<std::optional<std::vector<uint64_t>>> Unsigned(std::string_view name) const;
  Result<std::optional<bool>> Bool(std::string_view name) const;
  Result<std::optional<std::string_view>> String(std::string_view name) const;
  Result<std::optional<double>> Float(std::string_view name) const;

 private:
  const GgufMetadata& metadata_;
  const std::string prefix_;
  mutable std::set<std::string, std::less<>> read_;  // names without the prefix
};

}  // namespace forge
