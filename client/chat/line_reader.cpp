#include "client/chat/line_reader.h"

namespace forge::client {

LineReader::Event StreamLineReader::Read(const std::string& /*prompt*/, std::string& line) {
  return std::getline(input_, line) ? Event::kLine : Event::kEnd;
}

}  // namespace forge::client
