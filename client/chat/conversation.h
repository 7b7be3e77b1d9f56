#pragma once

#include <forge/v1/forge.pb.h>

#include <optional>
#include <string>
#include <vector>

namespace forge::client {

// What was said so far, and how answers are sampled. Knows nothing of the daemon.
class Conversation {
 public:
  explicit Conversation(v1::GenerateRequest::Turn defaults) : turn_(std::move(defaults)) {}

  // The whole conversation, system message first.
  v1::ChatMessages Messages() const;
  void Add(v1::ChatMessage message) { messages_.push_back(std::move(message)); }
  void Add(const std::string& role, const std::string& content);
  // Forgets the last message. REQUIRES: size() > 0.
  void RemoveLast() { messages_.pop_back(); }
  const v1::ChatMessage& last() const { return messages_.back(); }
  // Forgets what was said; the system message stays.
  void Clear() { messages_.clear(); }
  // Replaces the system message; empty: none.
  void SetSystem(const std::string& text) { system_ = text; }

  // A turn with the options in force and no prompt.
  const v1::GenerateRequest::Turn& turn() const { return turn_; }
  // Sets a field of SamplingOptions, or max_tokens, by name; "default" unsets it. An error message,
  // or nothing.
  std::optional<std::string> Set(const std::string& name, const std::string& value);
  // "temperature 0.2, seed 7" of what is set.
  std::string Settings() const;

  // Write and read the messages as JSON, {"messages": [{"role", "content"}]}. An error message, or
  // nothing; nothing changes on an error.
  std::optional<std::string> Save(const std::string& path) const;
  std::optional<std::string> Load(const std::string& path);
  size_t size() const { return messages_.size(); }

 private:
  v1::GenerateRequest::Turn turn_;
  std::string system_;
  std::vector<v1::ChatMessage> messages_;  // without the system message
};

}  // namespace forge::client
