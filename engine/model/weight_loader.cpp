#include "engine/model/weight_loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/gguf/gguf_fault.h"
#include "engine/model/transposed_matrix.h"
#include "kernels/base/check.h"
#include "kernels/base/exceptions.h"
#include "kernels/base/mutex.h"
#include "kernels/cpu/host_memory.h"

namespace forge {
namespace {

constexpr uint64_t kVectorSliceElements = 16384;

// File rows [first_row, first_row + n_rows) of one weight; a vector's rows are its blocks.
struct Slice {
  const WeightPlacement* weight;
  uint64_t first_row;
  uint64_t n_rows;

  uint64_t file_bytes() const { return n_rows * weight->file_row_bytes; }
};

uint64_t BlockElements(const WeightPlacement& vector) {
  return static_cast<uint64_t>(vector.shape.n_cols) / vector.n_file_rows;
}

// Rows of each slice of `weight` but the last.
uint64_t SliceRows(const WeightPlacement& weight, uint64_t slice_bytes, uint64_t row_multiple) {
  if (weight.spec.is_vector)
    return std::max<uint64_t>(1, kVectorSliceElements / BlockElements(weight));
  if (weight.spec.is_transposed) return weight.n_file_rows;
  const uint64_t group_bytes = weight.file_row_bytes * row_multiple;
  return std::max<uint64_t>(1, slice_bytes / group_bytes) * row_multiple;
}

// In file order, so that a disk reads forward.
std::vector<Slice> CutIntoSlices(const std::vector<WeightPlacement>& weights, uint64_t slice_bytes,
                                 uint64_t row_multiple) {
  std::vector<const WeightPlacement*> ordered;
  for (const WeightPlacement& weight : weights) ordered.push_back(&weight);
  std::sort(ordered.begin(), ordered.end(),
            [](const auto* a, const auto* b) { return a->file_offset < b->file_offset; });
  std::vector<Slice> slices;
  for (const WeightPlacement* const weight : ordered) {
    const uint64_t step = SliceRows(*weight, slice_bytes, row_multiple);
    for (uint64_t row = 0; row < weight->n_file_rows; row += step)
      slices.push_back({weight, row, std::min(step, weight->n_file_rows - row)});
  }
  return slices;
}

// What one loading thread works with.
struct Lane {
  std::unique_ptr<Stream> stream;
  std::unique_ptr<std::byte[]> staging;
  std::unique_ptr<float[]> floats;  // [kVectorSliceElements], vectors on their way
};

// Runs one load. Threads take the next slice until none is left or one has failed; the thread that
// called waits, and reports.
class WeightLoad {
 public:
  WeightLoad(const GgufFile& file, Device& device, const Arena& arena, ProgressReporter& progress)
      : file_(file), device_(device), arena_(arena), progress_(progress) {}
  ~WeightLoad() { stopped_ = true; }  // for what left Run by an exception

  Status Run(const std::vector<WeightPlacement>& weights, const WeightLoaderOptions& options);

 private:
  Status CreateLanes(const WeightLoaderOptions& options);
  Status StartThreads();
  // Whether all threads have finished by then.
  bool WaitForThreads(std::chrono::milliseconds at_most);
  Status failure();
  void Work(Lane& lane);
  Status LoadSlices(Lane& lane);
  Status LoadSlice(const Slice& slice, Lane& lane);
  Status LoadMatrixSlice(const Slice& slice, std::byte* destination, Lane& lane);
  Status LoadTransposed(const WeightPlacement& weight, std::byte* destination, Lane& lane);
  Status LoadVectorSlice(const Slice& slice, std::byte* destination, Lane& lane);

  // Constant while threads run.
  const GgufFile& file_;
  Device& device_;
  const Arena& arena_;
  ProgressReporter& progress_;
  std::vector<Slice> slices_;

  std::vector<Lane> lanes_;  // each used by one thread
  std::atomic<size_t> next_slice_ = 0;
  std::atomic<uint64_t> bytes_done_ = 0;
  std::atomic<bool> stopped_ = false;

  Mutex mutex_;
  CondVar finished_changed_;
  size_t n_finished_ FORGE_GUARDED_BY(mutex_) = 0;
  Status failure_ FORGE_GUARDED_BY(mutex_);  // the first

  std::vector<std::jthread> threads_;  // last: joined before anything they use goes
};

Status WeightLoad::Run(const std::vector<WeightPlacement>& weights,
                       const WeightLoaderOptions& options) {
  slices_ = CutIntoSlices(weights, options.slice_bytes,
                          static_cast<uint64_t>(device_.pack_row_multiple()));
  FORGE_TRY(CreateLanes(options));
  FORGE_TRY(StartThreads());
  do {
    if (!progress_.Report(bytes_done_)) stopped_ = true;
  } while (!WaitForThreads(ProgressReporter::kInterval));
  threads_.clear();
  FORGE_TRY(failure());
  if (!progress_.ReportNow(bytes_done_))
    return Cancelled("the load of model file " + QuoteText(file_.path()) + " was cancelled after " +
                     std::to_string(bytes_done_) + " of " +
                     std::to_string(progress_.bytes_total()) + " bytes");
  return file_.CheckUnchanged();
}

Status WeightLoad::CreateLanes(const WeightLoaderOptions& options) {
  uint64_t slice_bytes = 1;
  for (const Slice& slice : slices_) slice_bytes = std::max(slice_bytes, slice.file_bytes());
  const uint64_t lane_bytes = slice_bytes + kVectorSliceElements * sizeof(float);
  const unsigned wanted =
      options.n_threads != 0 ? options.n_threads : static_cast<unsigned>(CountUsableCpus());
  const uint64_t n_lanes = std::max<uint64_t>(
      1, std::min<uint64_t>({wanted, options.staging_bytes / lane_bytes, slices_.size()}));
  for (uint64_t i = 0; i < n_lanes; ++i) {
    Lane lane;
    lane.staging.reset(new (std::nothrow) std::byte[slice_bytes]);
    lane.floats.reset(new (std::nothrow) float[kVectorSliceElements]);
    if (lane.staging == nullptr || lane.floats == nullptr) {
      if (i > 0) break;  // fewer threads are slower, not wrong
      return ResourceExhausted(
                 "no host memory to load a model through: " + std::to_string(lane_bytes) + " bytes")
          .WithReason("HOST_MEMORY_EXHAUSTED");
    }
    FORGE_ASSIGN_OR_RETURN(lane.stream, device_.CreateStream());
    lanes_.push_back(std::move(lane));
  }
  return Status();
}

Status WeightLoad::StartThreads() {
  try {
    for (Lane& lane : lanes_) threads_.emplace_back([this, &lane] { Work(lane); });
  } catch (const std::system_error& error) {
    if (threads_.empty())
      return ResourceExhausted(std::string("no thread to load a model with: ") + error.what());
  }
  return Status();
}

bool WeightLoad::WaitForThreads(std::chrono::milliseconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  MutexLock lock(mutex_);
  while (n_finished_ < threads_.size())
    if (finished_changed_.WaitUntil(mutex_, deadline) == std::cv_status::timeout) break;
  return n_finished_ == threads_.size();
}

Status WeightLoad::failure() {
  MutexLock lock(mutex_);
  return failure_;
}

void WeightLoad::Work(Lane& lane) {
  Status status;
  const auto fail = [&status](const Status& failure) { status = failure; };
  Contain([&] { status = LoadSlices(lane); }, fail);
  // Also after a failure: nothing may be under way when the arena is freed.
  const Status synchronized = UntilMemory([&] { return lane.stream->Synchronize(); });
  if (status.ok()) status = synchronized;
  if (!status.ok()) stopped_ = true;
  MutexLock lock(mutex_);
  if (failure_.ok()) failure_ = status;
  ++n_finished_;
  finished_changed_.NotifyAll();
}

Status WeightLoad::LoadSlices(Lane& lane) {
  while (!stopped_) {
    const size_t index = next_slice_++;
    if (index >= slices_.size()) break;
    FORGE_TRY(LoadSlice(slices_[index], lane));
    bytes_done_ += slices_[index].file_bytes();
  }
  return Status();
}

Status WeightLoad::LoadSlice(const Slice& slice, Lane& lane) {
  const WeightPlacement& weight = *slice.weight;
  const uint64_t offset = weight.file_offset + slice.first_row * weight.file_row_bytes;
  FORGE_TRY(file_.ReadAt(offset, std::span(lane.staging.get(), slice.file_bytes())));
  FORGE_ASSIGN_OR_RETURN(std::byte* const destination,
                         arena_.View(weight.offset_bytes, weight.size_bytes));
  const Status status = weight.spec.is_vector       ? LoadVectorSlice(slice, destination, lane)
                        : weight.spec.is_transposed ? LoadTransposed(weight, destination, lane)
                                                    : LoadMatrixSlice(slice, destination, lane);
  if (status.ok()) return status;
  return status.WithContext("tensor " + QuoteText(weight.spec.file_tensor) + " of model file " +
                            QuoteText(file_.path()));
}

Status WeightLoad::LoadMatrixSlice(const Slice& slice, std::byte* destination, Lane& lane) {
  return device_.PackRows(slice.weight->shape, static_cast<int64_t>(slice.first_row),
                          static_cast<int64_t>(slice.n_rows), lane.staging.get(), destination,
                          *lane.stream);
}

Status WeightLoad::LoadTransposed(const WeightPlacement& weight, std::byte* destination,
                                  Lane& lane) {
  constexpr int64_t kRowsAtOnce = 256;  // of the weight: whole blocks of every format
  const auto row_multiple = device_.pack_row_multiple();
  FORGE_CHECK(kRowsAtOnce % row_multiple == 0, std::to_string(row_multiple) + " rows of a group");
  const TransposedMatrix matrix(weight, lane.staging.get());
  for (int64_t row = 0; row < weight.shape.n_rows; row += kRowsAtOnce) {
    const int64_t n_rows = std::min(kRowsAtOnce, weight.shape.n_rows - row);
    const std::vector<std::byte> rows = matrix.Rows(row, n_rows);
    FORGE_TRY(device_.PackRows(weight.shape, row, n_rows, rows.data(), destination, *lane.stream));
  }
  return Status();
}

Status WeightLoad::LoadVectorSlice(const Slice& slice, std::byte* destination, Lane& lane) {
  const uint64_t block_elements = BlockElements(*slice.weight);
  const std::span<float> values(lane.floats.get(), slice.n_rows * block_elements);
  FindFormat(slice.weight->file_dtype)->dequantize(lane.staging.get(), slice.n_rows, values.data());
  const double scale = slice.weight->spec.scale;
  if (scale != 1.0)
    for (float& value : values) value = static_cast<float>(value * scale);
  FORGE_TRY(device_.CopyIn(destination + slice.first_row * block_elements * sizeof(float),
                           values.data(), values.size_bytes(), *lane.stream));
  return lane.stream->Synchronize();  // the next slice overwrites lane.floats
}

}  // namespace

Status LoadWeights(const GgufFile& file, const std::vector<WeightPlacement>& weights,
                   Device& device, const Arena& arena, ProgressReporter& progress,
                   const WeightLoaderOptions& options) {
  return WeightLoad(file, device, arena, progress).Run(weights, options);
}

}  // namespace forge
