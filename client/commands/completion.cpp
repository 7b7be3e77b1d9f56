#include "client/commands/completion.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "client/connection.h"

namespace forge::client {

namespace {

using Candidates = std::vector<Candidate>;

// What the words before the last one came to.
struct Place {
  std::vector<const CLI::App*> commands;  // from the program to the innermost one
  const CLI::Option* option = nullptr;    // takes the last word as its value
  size_t n_positionals = 0;               // of the innermost command, so far
  bool only_positionals = false;          // behind "--"
  std::string address;

  const CLI::App& command() const { return *commands.back(); }
};

const CLI::Option* FindOption(const Place& place, const std::string& word) {
  for (const CLI::App* app : place.commands)
    for (const CLI::Option* option : app->get_options())
      if (word.starts_with('-') && option->check_name(word)) return option;
  return nullptr;
}

const CLI::App* FindCommand(const CLI::App& app, const std::string& word) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (command->check_name(word)) return command;
  return nullptr;
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

void Take(const std::string& word, Place& place) {
  if (const CLI::Option* const owner = std::exchange(place.option, nullptr)) {
    if (owner->check_name("--address")) place.address = word;
    return;
  }
  if (place.only_positionals || !word.starts_with('-') || word == "-") {
    const CLI::App* const command =
        place.n_positionals == 0 ? FindCommand(place.command(), word) : nullptr;
    command != nullptr ? place.commands.push_back(command) : void(++place.n_positionals);
    return;
  }
  if (word == "--") place.only_positionals = true;
  if (word.starts_with("--address=")) place.address = word.substr(word.find('=') + 1);
  const CLI::Option* const option = FindOption(place, word);
  if (option != nullptr && TakesValue(*option)) place.option = option;
}

// bash makes three words of --name=value, of which the value may still be missing.
void JoinAtEquals(std::vector<std::string>& words) {
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] != "=" || !words[i - 1].starts_with("--")) continue;
    const bool is_last = i + 1 == words.size();
    words[i] = is_last ? "" : words[i + 1];
    if (!is_last) words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

// f16 and f32 of an option whose type reads "TEXT:{f16,f32}".
Candidates ValuesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find('{');
  if (begin == std::string::npos || !type.ends_with('}')) return {};
  Candidates values;
  std::string_view list = std::string_view(type).substr(begin + 1, type.size() - begin - 2);
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    values.push_back({std::string(list.substr(0, comma)), ""});
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return values;
}

Candidates OptionsOf(const Place& place) {
  Candidates options;
  for (auto app = place.commands.rbegin(); app != place.commands.rend(); ++app)
    for (const CLI::Option* option : (*app)->get_options()) {
      const bool is_hidden = option->get_group().empty() || option->get_lnames().empty();
      const std::string name = is_hidden ? "" : "--" + option->get_lnames().front();
      const bool is_known =
          std::ranges::any_of(options, [&name](const Candidate& c) { return c.text == name; });
      if (!is_hidden && !is_known) options.push_back({name, option->get_description()});
    }
  return options;
}

// What stands at a place without a dash: a command, or a model.
Candidates ArgumentsOf(const Place& place, const ModelNames& model_names) {
  Candidates candidates;
  if (place.n_positionals == 0)
    for (const CLI::App* c : place.command().get_subcommands([](const CLI::App*) { return true; }))
      candidates.push_back({c->get_name(), c->get_description()});
  const auto options = place.command().get_options(
      [](const CLI::Option* option) { return option->get_positional(); });
  if (place.n_positionals >= options.size()) return candidates;
  const CLI::Option& argument = *options[place.n_positionals];
  if (argument.get_name(/*positional=*/true) != "model") return candidates;
  const bool resident_only = argument.get_description().find("forgectl list") == std::string::npos;
  for (const std::string& name : model_names(place.address, resident_only))
    candidates.push_back({name, ""});
  return candidates;
}

}  // namespace

std::vector<Candidate> Complete(const CLI::App& app, std::vector<std::string> words,
                                const ModelNames& model_names) {
  JoinAtEquals(words);
  if (words.empty()) words.emplace_back();
  std::string last = std::move(words.back());
  words.pop_back();
  Place place{.commands = {&app}, .address = DefaultAddress()};
  for (const std::string& word : words) Take(word, place);
  std::string prefix;  // --name= of --name=value
  if (const size_t equals = last.find('='); last.starts_with("--") && equals != last.npos) {
    prefix = last.substr(0, equals + 1);
    place.option = FindOption(place, last.substr(0, equals));
    if (place.option == nullptr) return {};
  }
  Candidates candidates;
  if (place.option != nullptr)
    candidates = ValuesOf(*place.option);
  else if (last.starts_with('-') && !place.only_positionals)
    candidates = OptionsOf(place);
  else
    candidates = ArgumentsOf(place, model_names);
  for (Candidate& candidate : candidates) candidate.text.insert(0, prefix);
  std::erase_if(candidates, [&last](const Candidate& c) { return !c.text.starts_with(last); });
  return candidates;
}

std::vector<std::string> FetchModelNames(const std::string& address, bool resident_only) {
  const Connection connection(address);
  const auto deadline = std::chrono::system_clock::now() + std::chrono::milliseconds(500);
  v1::ListModelsRequest request;
  request.set_resident_only(resident_only);
  request.set_page_size(1000);
  std::vector<std::string> names;
  for (;;) {
    grpc::ClientContext call;
    call.set_deadline(deadline);
    v1::ListModelsResponse response;
    if (!connection.stub().ListModels(&call, request, &response).ok()) return names;
    for (const v1::Model& model : response.models()) names.push_back(model.name());
    if (response.next_page_token().empty()) return names;
    request.set_page_token(response.next_page_token());
  }
}

}  // namespace forge::client
