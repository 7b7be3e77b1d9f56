#include "client/text_input.h"

#include <CLI/Error.hpp>
#include <boost/locale/utf.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace forge::client {

namespace {

// False, and errno says why, if the stream cannot be read to its end.
bool ReadAll(std::FILE* stream, std::string& content) {
  char bytes[1 << 16];
  content.clear();
  for (size_t n = 0; (n = std::fread(bytes, 1, sizeof(bytes), stream)) > 0;)
    content.append(bytes, n);
  return std::ferror(stream) == 0;
}

}  // namespace

std::optional<size_t> FindInvalidUtf8(std::string_view text) {
  const char* const end = text.data() + text.size();
  for (const char* next = text.data(); next != end;) {
    const char* const character = next;
    const auto code = boost::locale::utf::utf_traits<char>::decode(next, end);
    if (!boost::locale::utf::is_valid_codepoint(code))
      return static_cast<size_t>(character - text.data());
  }
  return std::nullopt;
}

void CheckUtf8(const std::string& what, std::string_view text) {
  const std::optional<size_t> at = FindInvalidUtf8(text);
  if (!at) return;
  char byte[8];
  std::snprintf(byte, sizeof(byte), "0x%02x", static_cast<unsigned char>(text[*at]));
  throw CLI::ValidationError(what, "invalid UTF-8: byte " + std::to_string(*at) + " is " + byte +
                                       "; convert it, as with iconv");
}

std::optional<std::string> ReadFile(const std::string& path, std::string& content) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (file != nullptr && ReadAll(file.get(), content)) return std::nullopt;
  return "cannot read '" + path + "': " + std::strerror(errno);
}

std::string ReadTextFile(const std::string& flag, const std::string& path) {
  std::string text;
  if (const auto problem = ReadFile(path, text)) throw CLI::ValidationError(flag, *problem);
  CheckUtf8(flag + ": the file '" + path + "'", text);
  return text;
}

std::string ReadStandardInput() {
  std::string text;
  if (!ReadAll(stdin, text)) throw CLI::ValidationError("standard input", std::strerror(errno));
  CheckUtf8("standard input", text);
  return text;
}

}  // namespace forge::client
