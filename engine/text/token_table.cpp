#include "engine/text/token_table.h"

#include <bit>
#include <cstring>
#include <random>

namespace forge {
namespace {

constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio

// Another number in every process, so that no file can be written whose texts all meet in one slot.
uint64_t Seed() {
  static const uint64_t seed = [] {
    std::random_device device;
    return uint64_t{device()} << 32 | device() | 1;
  }();
  return seed;
}

__extension__ typedef unsigned __int128 Uint128;  // not ISO C++

// The high half of a product depends on every bit of both factors.
uint64_t Mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<Uint128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t Load(const char* bytes, size_t n_bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, n_bytes);
  return word;
}

uint64_t HashOf(std::string_view text) {
  const char* bytes = text.data();
  size_t left = text.size();
  const uint64_t seed = Seed();
  uint64_t hash = seed ^ left;
  for (; left > 8; left -= 8, bytes += 8) hash = Mix(hash ^ Load(bytes, 8), kMultiplier ^ seed);
  return Mix(hash ^ Load(bytes, left), kMultiplier ^ seed);
}

uint64_t HashOf(uint64_t key) { return Mix(key ^ Seed(), kMultiplier ^ Seed()); }

size_t SlotCount(size_t n_entries) { return std::bit_ceil(2 * n_entries + 2); }

}  // namespace

TokenTable::TokenTable(size_t n_tokens) : slots_(SlotCount(n_tokens)) {}

void TokenTable::Insert(std::string_view text, int32_t id) {
  const uint64_t hash = HashOf(text);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.id == kNotFound) {
      slot = {hash, text, id};
      return;
    }
    if (slot.hash == hash && slot.text == text) return;
  }
}

int32_t TokenTable::Find(std::string_view text) const {
  if (slots_.empty()) return kNotFound;
  const uint64_t hash = HashOf(text);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.id == kNotFound) return kNotFound;
    if (slot.hash == hash && slot.text == text) return slot.id;
  }
}

PairTable::PairTable(size_t n_pairs) : slots_(SlotCount(n_pairs)) {}

void PairTable::Insert(uint64_t key, Value value) {
  const size_t mask = slots_.size() - 1;
  for (size_t i = HashOf(key) & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.value.id == TokenTable::kNotFound) {
      slot = {key, value};
      return;
    }
    if (slot.key == key) return;
  }
}

const PairTable::Value* PairTable::Find(uint64_t key) const {
  if (slots_.empty()) return nullptr;
  const size_t mask = slots_.size() - 1;
  for (size_t i = HashOf(key) & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.value.id == TokenTable::kNotFound) return nullptr;
    if (slot.key == key) return &slot.value;
  }
}

}  // namespace forge
