#pragma once

#include <istream>
#include <memory>
#include <string>

namespace forge::client {

// Where a chat's lines come from.
class LineReader {
 public:
  enum class Event {
    kLine,
    kInterrupt,  // Ctrl-C; what was typed is in the line
    kEnd,
  };

  virtual ~LineReader() = default;
  // Blocks for one line, without its end. A pasted text of several lines is one line with newlines
  // in it.
  virtual Event Read(const std::string& prompt, std::string& line) = 0;
  // Offers `message` again with the up key.
  virtual void Remember(const std::string& /*message*/) {}
};

// Lines of a stream that is no terminal; shows no prompt. Read throws CLI::ValidationError for a
// line that is not UTF-8. Lifetime: the stream must outlive it.
class StreamLineReader final : public LineReader {
 public:
  explicit StreamLineReader(std::istream& input) : input_(input) {}
  Event Read(const std::string& prompt, std::string& line) override;

 private:
  std::istream& input_;
  int n_lines_ = 0;
};

// Edits lines on the terminal that standard input is, with history. `interrupt_fd` becomes readable
// with Ctrl-C, one byte for each; the process must not be killed by it. nullptr if the terminal
// cannot be edited on.
std::unique_ptr<LineReader> MakeTerminalLineReader(int interrupt_fd);

}  // namespace forge::client
