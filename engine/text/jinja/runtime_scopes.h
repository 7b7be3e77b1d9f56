#pragma once

#include <utility>

#include "engine/text/jinja/runtime.h"

namespace forge::jinja {

// Opens a scope within `parent` and closes it again, whatever happens between.
class Runtime::Block {
 public:
  Block(Runtime& runtime, Scope* parent)
      : runtime_(runtime), outer_(runtime.scope_), scope_(std::make_unique<Scope>()) {
    scope_->parent = parent;
    runtime_.scope_ = scope_.get();
  }
  ~Block() {
    runtime_.scope_ = outer_;
    if (!scope_->is_kept) return;
    if (scope_->parent != nullptr) scope_->parent->is_kept = true;
    runtime_.kept_scopes_.push_back(std::move(scope_));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

 private:
  Runtime& runtime_;
  Scope* const outer_;
  std::unique_ptr<Scope> scope_;
};

class Runtime::Level {
 public:
  explicit Level(Runtime& runtime) : runtime_(runtime) { ++runtime_.depth_; }
  ~Level() { --runtime_.depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Runtime& runtime_;
};

}  // namespace forge::jinja
