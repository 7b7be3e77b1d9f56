#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

namespace forge::client {

// What may stand at the end of a command line, for a person or a shell to choose from.
struct Candidate {
  std::string text;
  std::string description;  // one line; may be empty
};

// The names of models; of those in memory only, if `resident_only`. Asked of the daemon at
// `address`, and empty where none answers at once.
using ModelNames =
    std::function<std::vector<std::string>(const std::string& address, bool resident_only)>;

// What the last of `words`, the arguments up to the cursor, may become: commands, options, values
// of options that have a list of them, names of models. All of it comes from `app`, so that it is
// never older than the program. Empty where anything may stand, as a file or a text.
std::vector<Candidate> Complete(const CLI::App& app, std::vector<std::string> words,
                                const ModelNames& model_names);

// Models of the daemon; gives up after half a second, in silence.
std::vector<std::string> FetchModelNames(const std::string& address, bool resident_only);

}  // namespace forge::client
