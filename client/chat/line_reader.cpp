#include "client/chat/line_reader.h"

#include "client/text_input.h"

namespace forge::client {

LineReader::Event StreamLineReader::Read(const std::string& /*prompt*/, std::string& line) {
  if (!std::getline(input_, line)) return Event::kEnd;
  CheckUtf8("standard input, line " + std::to_string(++n_lines_), line);
  return Event::kLine;
}

}  // namespace forge::client
