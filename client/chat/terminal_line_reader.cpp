#include <histedit.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cwchar>

#include "client/chat/line_reader.h"

namespace forge::client {

namespace {

constexpr int kHistoryLines = 500;
constexpr char kBracketedPasteOn[] = "\033[?2004h";
constexpr char kBracketedPasteOff[] = "\033[?2004l";
constexpr std::string_view kPasteBegin = "\033[200~";
constexpr std::string_view kPasteEnd = "\033[201~";
// Stands for a pasted line's end on the one line that is edited.
constexpr wchar_t kPastedNewline = L'\u2424';
constexpr std::string_view kPastedNewlineUtf8 = "\xe2\x90\xa4";

// Characters are read as UTF-8, whatever the locale says.
void UseUtf8() {
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX < 2) std::setlocale(LC_CTYPE, "C.UTF-8");
}

// Gives the terminal back as it is now where a signal ends the process meanwhile.
class RestoringSignals {
 public:
  RestoringSignals() {
    if (tcgetattr(STDIN_FILENO, &settings) != 0) return;
    struct sigaction action = {};
    action.sa_handler = [](int signal) {
      tcsetattr(STDIN_FILENO, TCSANOW, &settings);
      [[maybe_unused]] const ssize_t written =
          write(STDOUT_FILENO, kBracketedPasteOff, sizeof(kBracketedPasteOff) - 1);
      raise(signal);  // once more, and with what it does by default
    };
    action.sa_flags = SA_RESETHAND;
    for (const int signal : kSignals) sigaction(signal, &action, nullptr);
  }
  ~RestoringSignals() {
    for (const int signal : kSignals) std::signal(signal, SIG_DFL);
  }
  RestoringSignals(const RestoringSignals&) = delete;
  RestoringSignals& operator=(const RestoringSignals&) = delete;

 private:
  static constexpr int kSignals[] = {SIGTERM, SIGHUP, SIGQUIT};
  static inline termios settings;  // for handlers, which have no other way to it
};

class TerminalLineReader final : public LineReader {
 public:
  explicit TerminalLineReader(int interrupt_fd) : interrupt_fd_(interrupt_fd) {}
  ~TerminalLineReader() override {
    if (history_ != nullptr) history_end(history_);
    if (editor_ != nullptr) el_end(editor_);
  }
  TerminalLineReader(const TerminalLineReader&) = delete;
  TerminalLineReader& operator=(const TerminalLineReader&) = delete;

  bool Open() {
    UseUtf8();
    editor_ = el_init("forgectl", stdin, stdout, stderr);
    history_ = history_init();
    if (editor_ == nullptr || history_ == nullptr) return false;
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &Prompt);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_SIGNAL, 0);
    el_set(editor_, EL_GETCFN, &ReadCharacter);
    // Between prompts too the terminal hands over keys as they come, for the next prompt: it would
    // otherwise show them amid the answer, and make a NUL of a Ctrl-D.
    el_set(editor_, EL_SETTY, "-x", "-icanon", "-echo", nullptr);
    // Up and down go through the history by what was typed so far.
    el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    return true;
  }

  Event Read(const std::string& prompt, std::string& line) override {
    prompt_ = prompt;
    interrupted_ = false;
    std::fputs(kBracketedPasteOn, stdout);
    int count = 0;
    const char* text = el_gets(editor_, &count);
    std::fputs(kBracketedPasteOff, stdout);
    std::fflush(stdout);
    if (interrupted_) {
      line = Typed();
      el_reset(editor_);
      std::fputc('\n', stdout);
      return Event::kInterrupt;
    }
    if (text == nullptr || count <= 0) return Event::kEnd;
    line.assign(text, static_cast<size_t>(count));
    if (!line.empty() && line.back() == '\n') line.pop_back();
    for (size_t at; (at = line.find(kPastedNewlineUtf8)) != std::string::npos;)
      line.replace(at, kPastedNewlineUtf8.size(), "\n");
    return Event::kLine;
  }

  void Remember(const std::string& message) override {
    HistEvent event;
    history(history_, &event, H_ENTER, message.c_str());
  }

 private:
  static TerminalLineReader& Self(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<TerminalLineReader*>(self);
  }
  static char* Prompt(EditLine* editor) { return Self(editor).prompt_.data(); }
  static int ReadCharacter(EditLine* editor, wchar_t* character) {
    return Self(editor).NextCharacter(*character);
  }

  std::string Typed() const {
    const LineInfo* info = el_line(editor_);
    return std::string(info->buffer, static_cast<size_t>(info->lastchar - info->buffer));
  }

  // 1 with a character, 0 at the end, -1 for an interrupt.
  int NextCharacter(wchar_t& character) {
    while (true) {
      if (!Fill(1)) return interrupted_ ? -1 : 0;
      if (SkipMark(is_pasting_ ? kPasteEnd : kPasteBegin)) {
        is_pasting_ = !is_pasting_;
        continue;
      }
      return Decode(character);
    }
  }

  // Takes `mark` off the input if it is what comes next. A mark arrives whole, or its rest at once.
  bool SkipMark(std::string_view mark) {
    if (pending_.front() != mark.front()) return false;
    for (size_t n = 2; n <= mark.size(); ++n) {
      if (pending_.size() < n && !HasInput()) return false;  // a lone escape key
      if (!Fill(n) || pending_[n - 1] != mark[n - 1]) return false;
    }
    pending_.erase(0, mark.size());
    return true;
  }

  int Decode(wchar_t& character) {
    const auto lead = static_cast<unsigned char>(pending_.front());
    const size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (!Fill(n)) return interrupted_ ? -1 : 0;
    std::mbstate_t state = {};
    wchar_t decoded = 0;
    const size_t used = std::mbrtowc(&decoded, pending_.data(), n, &state);
    const bool is_valid = used <= n;  // 0 for a NUL
    pending_.erase(0, is_valid ? std::max<size_t>(used, 1) : 1);
    character = is_valid ? decoded : L'?';
    if (is_pasting_ && (character == L'\r' || character == L'\n')) character = kPastedNewline;
    return 1;
  }

  bool HasInput() const {
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    return poll(&input, 1, 0) == 1;
  }

  // Waits until `n` bytes are pending. False at the end of input, or with an interrupt.
  bool Fill(size_t n) {
    while (pending_.size() < n) {
      pollfd sources[] = {{STDIN_FILENO, POLLIN, 0}, {interrupt_fd_, POLLIN, 0}};
      if (poll(sources, 2, -1) < 0 && errno != EINTR) return false;
      if ((sources[1].revents & POLLIN) != 0) {
        char byte = 0;
        interrupted_ = read(interrupt_fd_, &byte, 1) == 1;
        pending_.clear();
        is_pasting_ = false;
        return false;
      }
      if (sources[0].revents == 0) continue;
      char bytes[4096];
      const ssize_t n_read = read(STDIN_FILENO, bytes, sizeof(bytes));
      if (n_read < 0 && errno == EINTR) continue;
      if (n_read <= 0) return false;
      pending_.append(bytes, static_cast<size_t>(n_read));
    }
    return true;
  }

  const RestoringSignals restoring_signals_;
  const int interrupt_fd_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  std::string prompt_;
  std::string pending_;  // read and not yet handed out
  bool is_pasting_ = false;
  bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<LineReader> MakeTerminalLineReader(int interrupt_fd) {
  auto reader = std::make_unique<TerminalLineReader>(interrupt_fd);
  if (!reader->Open()) return nullptr;
  return reader;
}

}  // namespace forge::client
