#pragma once

#include <string>

#include "client/chat/line_reader.h"

namespace forge::client {

// Puts lines together to messages: a line that ends in a backslash goes on with the next, and lines
// between two lines that begin and end with """ are one message. Lifetime: `lines` must outlive it.
class MessageReader {
 public:
  explicit MessageReader(LineReader& lines) : lines_(lines) {}

  // kInterrupt drops what was begun; `message` is then what was typed. At the end of input an
  // unfinished message counts as finished.
  LineReader::Event Read(std::string& message);

 private:
  LineReader& lines_;
};

}  // namespace forge::client
