#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace forge::client {

// Texts that people hand over. They go into protobuf strings, which hold UTF-8 only: gRPC drops a
// request with anything else without a word.

// Where the first byte stands that is not UTF-8 (RFC 3629).
std::optional<size_t> FindInvalidUtf8(std::string_view text);

// Throws CLI::ValidationError, which names `what` and the byte, unless `text` is UTF-8.
void CheckUtf8(const std::string& what, std::string_view text);

// Reads a file into `content`, or says why it cannot be read: "cannot read '/tmp': Is a directory".
std::optional<std::string> ReadFile(const std::string& path, std::string& content);

// The UTF-8 text in a file that `flag` names. Throws CLI::ValidationError.
std::string ReadTextFile(const std::string& flag, const std::string& path);

// The UTF-8 text on standard input, to its end. Throws CLI::ValidationError.
std::string ReadStandardInput();

}  // namespace forge::client
