#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kernels/api/op_table.h"
#include "kernels/api/ragged_batch.h"
#include "kernels/api/stream.h"
#include "kernels/api/weight.h"
#include "kernels/base/result.h"

namespace forge {

// What a device says of its memory at one moment, in bytes.
struct MemoryReading {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;          // the smaller of the two below: what may be counted on
  uint64_t runtime_free_bytes = 0;  // CPU: MemAvailable. GPU: the runtime's figure
  uint64_t driver_free_bytes = 0;   // CPU: room under the cgroup limit. GPU: the driver's figure
  // What the system counts as this process's own memory on the device; nullopt: it does not tell.
  std::optional<uint64_t> process_bytes = std::nullopt;
};

// Memory that is allocated right now through Device::Allocate.
struct AllocationCount {
  uint64_t allocations = 0;
  uint64_t bytes = 0;
};

struct DeviceInfo {
  std::string id;           // "cpu", "hip:0"; what users write in configuration
  std::string description;  // "Intel Xeon, AVX-512 VNNI, 2 threads"
  // Most tokens of a step that may be guesses of what comes next, computed beside the tokens that
  // are known; where the weights' way from memory takes most of a step, they cost little. 0: none.
  uint32_t max_draft_tokens = 0;
};

// A place where models live and run: memory, weight layout and ops.
//
// Knows no model and keeps no budget: whoever allocates holds a Reservation. Thread-safe, but each
// Stream is used by one thread at a time.
class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceInfo& info() const = 0;
  virtual const OpTable& ops() const = 0;
  virtual Result<std::unique_ptr<Stream>> CreateStream() = 0;

  // --- Memory
  virtual Result<MemoryReading> ReadMemory() const = 0;
  // A whole arena, at least 64-byte aligned, with every page backed: a later write cannot fail for
  // lack of memory. kInvalidArgument for 0 bytes, kResourceExhausted if there is not enough.
  virtual Result<void*> Allocate(uint64_t bytes) = 0;
  // REQUIRES: `data` came from Allocate with the same `bytes`, and no work on it is under way.
  virtual void Free(void* data, uint64_t bytes) = 0;
  virtual AllocationCount allocation_count() const = 0;
  // The last model left the device: gives back what it holds beside allocations, such as a driver's
  // context and its caches, so that a device nobody uses costs other programs nothing. Whatever is
  // called next brings it back, but ReadMemory should do without. Does nothing where there is
  // nothing to give, as on the CPU.
  // REQUIRES: nothing is allocated, and no stream of the device exists.
  virtual void ReleaseContext() {}
  // Copy between host and device memory in stream order; the host memory may be reused once the
  // stream is synchronised.
  virtual Status CopyIn(void* device_destination, const void* host_source, uint64_t bytes,
                        Stream& stream) = 0;
  virtual Status CopyOut(void* host_destination, const void* device_source, uint64_t bytes,
                         Stream& stream) = 0;

  // --- Weights. A device may keep a matrix in another order than the file, still quantised.
  // The bytes that `shape` takes on the device, a multiple of 64. kUnimplemented (reason
  // ARCHITECTURE_UNSUPPORTED) for a format without kernels, kInvalidArgument for a bad shape.
  virtual Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const = 0;
  // Rows are packed in groups of this many; a loader hands over whole groups.
  virtual int64_t pack_row_multiple() const = 0;
  // Packs rows [first_row, first_row + n_rows) of the file's bytes at `file_rows` into the matrix
  // at `packed`. first_row is a multiple of pack_row_multiple(), and so is n_rows unless the
  // matrix ends there. Host memory may be reused when it returns. Different rows of one matrix may
  // be packed by several threads at once, each with its own stream.
  virtual Status PackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                          const std::byte* file_rows, void* packed, Stream& stream) = 0;

  // --- Scratch of the ops, in bytes, for the largest arguments a model will use.
  virtual uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const = 0;
  virtual uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const = 0;
  virtual uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                              int max_experts) const = 0;
};

}  // namespace forge
