#pragma once

#include <string>

#include "bench/comparison.h"
#include "kernels/base/result.h"

namespace forge {

// Options of forge-bench table.
struct FloorTableOptions {
  ComparisonOptions comparison;  // with has_formats n_threads, 2 for 0, is of both sides, else
                                 // threads are the cases' own
  std::string folder;            // where model files are written, and removed again
  std::string small_model;       // stories260K.gguf; empty leaves its case out
  bool has_formats = false;  // each format by each kind of step instead, in a model of few layers
  std::string only;          // cases whose name holds this; empty: all
  bool keeps_files = false;
};

// A file's cases, measured together, and the verdict.
struct FloorTable {
  std::string text;  // a Markdown table
  int n_below = 0;   // cases below their floor
};

// Measures the project's floors against the peer: model files of real shapes are made one after
// another (forge-synth), and each is measured as Compare does. Blocks for an hour or so.
// kInvalidArgument where no case is meant, or other threads than the floors are for.
Result<FloorTable> MeasureFloorTable(const FloorTableOptions& options);

}  // namespace forge
