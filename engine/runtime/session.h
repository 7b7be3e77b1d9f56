#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/runtime/kv_blocks.h"
#include "engine/runtime/task.h"

namespace forge {

// One conversation: a sequence of tokens, what of it is in the KV cache, and the task that
// runs on it. Plain data of the Scheduler.
//
// Invariants: the keys and values of tokens[0, n_computed) are in `kv`, or those that the next
// token sees where a layer has a window; n_computed < tokens.size() while a task runs, because the
// token chosen last is never in the cache; tokens never outnumber the context length. While a step
// runs that computes a draft, the draft stands behind the tokens, and its keys and values behind
// theirs. A session with a task is removed by the executor thread only.
struct Session {
  SessionId id = 0;
  std::vector<TokenId> tokens;  // and a draft behind them
  uint32_t n_drafted = 0;
  uint32_t n_computed = 0;
  KvSequence kv;
  SequenceStatus::State state = SequenceStatus::State::kIdle;
  std::unique_ptr<Task> task;  // null exactly while kIdle
  uint32_t n_output = 0;       // tokens of the turn, or of the last one
  bool cancelled = false;      // the task ends before the next step
  Status failure;              // set: it ends so, unless it was cancelled; the executor's
  bool closed = false;         // the session goes with its task
  uint64_t last_step = 0;      // the last one it took part in, or was admitted at
  uint32_t told_position = 0;  // in the queue, as last reported; kNotTold before that

  static constexpr uint32_t kNotTold = UINT32_MAX;

  uint32_t n_tokens() const { return static_cast<uint32_t>(tokens.size()) - n_drafted; }
  uint32_t n_pending() const { return n_tokens() - n_computed; }
  void DropDraft() {
    tokens.resize(n_tokens());
    n_drafted = 0;
  }
};

}  // namespace forge
