#include "daemon/telemetry/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace forge {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kDebug:
      break;
  }
  return spdlog::level::debug;
}

// Priorities of syslog(3): err 3, warning 4, info 6, debug 7.
int Priority(spdlog::level::level_enum level) {
  if (level >= spdlog::level::err) return 3;
  if (level == spdlog::level::warn) return 4;
  return level == spdlog::level::info ? 6 : 7;
}

std::string_view LevelName(spdlog::level::level_enum level) {
  if (level >= spdlog::level::err) return "error";
  if (level == spdlog::level::warn) return "warning";
  return level == spdlog::level::info ? "info" : "debug";
}

std::string EscapeControlCharacters(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      escaped += fmt::format("\\x{:02x}", byte);
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// Lays out lines; the pattern language of spdlog can neither number priorities nor escape.
class LineFormatter : public spdlog::formatter {
 public:
  explicit LineFormatter(LogFormat format) : format_(format) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string line =
        FormatLogLine(message.level, message.time,
                      std::string_view(message.payload.data(), message.payload.size()), format_);
    out.append(line.data(), line.data() + line.size());
    out.push_back('\n');
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_);
  }

 private:
  const LogFormat format_;
};

}  // namespace

bool IsJournalStream(int descriptor, const char* journal_stream) {
  if (journal_stream == nullptr) return false;
  struct stat info = {};
  if (fstat(descriptor, &info) != 0) return false;
  return fmt::format("{}:{}", info.st_dev, info.st_ino) == journal_stream;
}

std::string FormatLogLine(spdlog::level::level_enum level, spdlog::log_clock::time_point time,
                          std::string_view message, LogFormat format) {
  const std::string escaped = EscapeControlCharacters(message);
  if (format == LogFormat::kJournal) return fmt::format("<{}>{}", Priority(level), escaped);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z {:<7} {}",
                     fmt::gmtime(spdlog::log_clock::to_time_t(time)), ms.count() % 1000,
                     LevelName(level), escaped);
}

std::shared_ptr<spdlog::logger> CreateLog(const LogOptions& options) {
  LogFormat format = options.format;
  if (format == LogFormat::kAuto) {
    format = IsJournalStream(STDERR_FILENO, std::getenv("JOURNAL_STREAM")) ? LogFormat::kJournal
                                                                           : LogFormat::kPlain;
  }
  auto log =
      std::make_shared<spdlog::logger>("forged", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_formatter(std::make_unique<LineFormatter>(format));
  log->set_level(ToSpdlog(options.level));
  log->flush_on(spdlog::level::trace);  // lines are few, and the last one before a crash counts
  return log;
}

}  // namespace forge
