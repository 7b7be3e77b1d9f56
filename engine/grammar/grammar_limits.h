#pragma once

#include <cstddef>
#include <cstdint>

// What a grammar may cost. Chosen so that any text within kMaxConstraintBytes is compiled or
// refused within 100 ms, and so that no answer can hold up the executor; docs/constrained-output.md
// lists them.

namespace forge {

// --- The text
inline constexpr size_t kMaxConstraintBytes = 256 * 1024;
inline constexpr uint32_t kMaxNesting = 100;            // groups, or levels of a schema
inline constexpr uint32_t kMaxRepetitions = 1'000'000;  // m and n of {m,n}

// --- What it means
inline constexpr size_t kMaxGrammarRules = 10'000;
inline constexpr size_t kMaxGrammarNodes = 100'000;
inline constexpr uint64_t kMaxShortestBytes = uint64_t{1} << 20;  // of the shortest text it allows
inline constexpr size_t kMaxAutomatonStates = 100'000;
inline constexpr size_t kMaxAutomatonEdges = 400'000;

// --- While an answer is written
inline constexpr uint32_t kMaxStackDepth = 500;       // rules within rules
inline constexpr size_t kMaxFramesOfSet = 4096;       // ways to read what was written
inline constexpr size_t kMaxMaskWork = 2'000'000;     // frames looked at for one mask
inline constexpr size_t kMaxTrieVisits = 40'000'000;  // steps through the vocabulary for one mask
inline constexpr size_t kMaxStoreBytes = 64u << 20;   // of states that one mask may add
inline constexpr size_t kCompactStoreBytes = 16u << 20;  // past this, unused states are dropped
inline constexpr size_t kMaxMaskBytes = 32u << 20;       // of masks that are kept

inline constexpr size_t kMaxKeptBytes = 8u << 20;  // of a grammar that no answer uses

}  // namespace forge
