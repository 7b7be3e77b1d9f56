#include "client/chat/message_reader.h"

#include <string_view>

namespace forge::client {

namespace {

constexpr std::string_view kFence = "\"\"\"";
constexpr char kPrompt[] = ">>> ";
constexpr char kContinuation[] = "... ";

}  // namespace

LineReader::Event MessageReader::Read(std::string& message) {
  std::string line;
  message.clear();
  LineReader::Event event = lines_.Read(kPrompt, line);
  if (event != LineReader::Event::kLine) {
    message = line;
    return event;
  }
  const bool is_fenced = line.starts_with(kFence);
  if (is_fenced) line.erase(0, kFence.size());
  while (true) {
    const bool is_closed = is_fenced && line.ends_with(kFence);
    const bool goes_on = is_fenced ? !is_closed : line.ends_with('\\');
    if (is_closed) line.resize(line.size() - kFence.size());
    if (goes_on && !is_fenced) line.pop_back();
    message += line;
    if (!goes_on) break;
    event = lines_.Read(kContinuation, line);
    if (event == LineReader::Event::kInterrupt) return event;
    if (event == LineReader::Event::kEnd) break;
    message += '\n';
  }
  // The newlines beside the fences are not part of the message.
  if (is_fenced && message.starts_with('\n')) message.erase(0, 1);
  if (is_fenced && message.ends_with('\n')) message.pop_back();
  lines_.Remember(message);
  return LineReader::Event::kLine;
}

}  // namespace forge::client
