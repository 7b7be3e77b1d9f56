#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string_view>

#include "daemon/config/config.h"

namespace forge {

// True if standard error `descriptor` is the stream that $JOURNAL_STREAM ("device:inode") names,
// that is, if journald reads it.
bool IsJournalStream(int descriptor, const char* journal_stream);

// Creates the daemon's log on standard error. Under LogFormat::kJournal each line starts with the
// priority as journald reads it ("<6>"), else with date and level. Control characters in messages
// are escaped, so that a file's name cannot forge a line. Prompts and answers are never logged.
// The logger is thread-safe.
std::shared_ptr<spdlog::logger> CreateLog(const LogOptions& options);

// One line as CreateLog writes it, without its end.
std::string FormatLogLine(spdlog::level::level_enum level, spdlog::log_clock::time_point time,
                          std::string_view message, LogFormat format);

}  // namespace forge
