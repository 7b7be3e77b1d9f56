#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <numbers>
#include <optional>
#include <system_error>
#include <thread>

#include "kernels/base/mutex.h"
#include "tools/synth/random_blocks.h"
#include "tools/synth/synth_model.h"

namespace forge {
namespace {

// Each piece has a stream of random numbers of its own, so that threads may write in any order.
struct Piece {
  size_t tensor;
  uint64_t index;                     // of the tensor's pieces
  uint64_t offset_bytes, size_bytes;  // within the tensor
};
constexpr uint64_t kPieceBytes = 4 << 20;

Status FileError(const std::string& what, const std::string& path) {
  return FailedPrecondition("cannot " + what + " " + path + ": " +
                            std::generic_category().message(errno));
}

// A file that is removed again unless it was kept.
class PartialFile {
 public:
  explicit PartialFile(std::string path)
      : path_(std::move(path)), partial_path_(path_ + ".partial") {
    descriptor_ = open(partial_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  }
  ~PartialFile() {
    if (descriptor_ < 0) return;
    close(descriptor_);
    unlink(partial_path_.c_str());
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  const std::string& partial_path() const { return partial_path_; }

  Status Write(const void* data, uint64_t bytes, uint64_t offset) const {
    const auto* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t n = pwrite(descriptor_, from, bytes, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return FileError("write", partial_path_);
      from += n;
      offset += static_cast<uint64_t>(n);
      bytes -= static_cast<uint64_t>(n);
    }
    return Status();
  }

  Status Keep() {
    const int closed = close(std::exchange(descriptor_, -1));
    if (closed == 0 && rename(partial_path_.c_str(), path_.c_str()) == 0) return Status();
    const Status status = FileError("write", path_);
    unlink(partial_path_.c_str());
    return status;
  }

 private:
  const std::string path_, partial_path_;
  int descriptor_ = -1;
};

// Llama 3's factors: wave lengths of more than 8192 tokens are stretched by `factor`, those of less
// than 2048 not at all (Meta's reference code, apply_scaling).
std::vector<float> RopeFactors(uint64_t n, double base, double factor) {
  constexpr double kContext = 8192, kLow = 1, kHigh = 4;
  std::vector<float> factors(n);
  for (uint64_t i = 0; i < n; ++i) {
    const double exponent = static_cast<double>(i) / static_cast<double>(n);
    const double turns = kContext / (2 * std::numbers::pi * std::pow(base, exponent));
    const double smooth = std::clamp((turns - kLow) / (kHigh - kLow), 0.0, 1.0);
    factors[i] = static_cast<float>(1.0 / ((1 - smooth) / factor + smooth));
  }
  return factors;
}

// Writes the pieces of all tensors, each on whichever thread takes it.
class PieceWriter {
 public:
  PieceWriter(const SynthModel& model, uint64_t seed, const PartialFile& file)
      : model_(model), seed_(seed), file_(file) {
    for (size_t i = 0; i < model.tensors.size(); ++i) AddPieces(i);
  }

  Status Run(int n_threads) {
    std::vector<std::thread> threads;
    for (int i = 1; i < n_threads; ++i) threads.emplace_back([this] { RunThread(); });
    RunThread();
    for (std::thread& thread : threads) thread.join();
    const MutexLock lock(mutex_);
    return failure_;
  }

 private:
  void AddPieces(size_t tensor) {
    const GgufTensorEntry& entry = model_.tensors[tensor];
    const uint64_t step =
        std::max<uint64_t>(1, kPieceBytes / entry.format->block_bytes) * entry.format->block_bytes;
    uint64_t index = 0;
    for (uint64_t at = 0; at < entry.size_bytes(); at += step)
      pieces_.push_back({tensor, index++, at, std::min(step, entry.size_bytes() - at)});
  }

  void RunThread() {
    std::vector<std::byte> buffer;
    for (size_t i = next_.fetch_add(1); i < pieces_.size(); i = next_.fetch_add(1)) {
      const Status status = WritePiece(pieces_[i], buffer);
      if (status.ok()) continue;
      const MutexLock lock(mutex_);
      failure_ = status;
      next_.store(pieces_.size());
    }
  }

  Status WritePiece(const Piece& piece, std::vector<std::byte>& buffer) const {
    const GgufTensorEntry& entry = model_.tensors[piece.tensor];
    // Padding after the tensor's end belongs to its last piece.
    const uint64_t end = piece.offset_bytes + piece.size_bytes;
    const uint64_t padding = end == entry.size_bytes() ? AlignedSize(end) - end : 0;
    buffer.assign(piece.size_bytes + padding, std::byte{0});
    const std::span<std::byte> data = std::span(buffer).first(piece.size_bytes);
    FORGE_TRY(Fill(piece, data));
    return file_.Write(buffer.data(), buffer.size(),
                       model_.header.size() + entry.offset_bytes + piece.offset_bytes);
  }

  Status Fill(const Piece& piece, std::span<std::byte> data) const {
    const GgufTensorEntry& entry = model_.tensors[piece.tensor];
    const SynthValues values = model_.values[piece.tensor];
    if (values == SynthValues::kRopeFactors) {
      const std::vector<float> factors =
          RopeFactors(entry.n_elements(), model_.shape.rope_base, model_.shape.rope_factor);
      std::memcpy(data.data(), factors.data(), data.size());
      return Status();
    }
    const float deviation = values == SynthValues::kMatrix
                                ? 1.0f / std::sqrt(static_cast<float>(entry.extents[0]))
                                : 0.1f;
    FORGE_ASSIGN_OR_RETURN(const RandomBlocks blocks,
                           RandomBlocks::Create(*entry.format, deviation));
    RandomStream random(StreamSeed(piece));
    blocks.Fill(data, random);
    const float mean = values == SynthValues::kNorm    ? 1.0f
                       : values == SynthValues::kDecay ? -0.5f
                                                       : 0.0f;
    if (mean == 0.0f) return Status();
    for (size_t i = 0; i + sizeof(float) <= data.size(); i += sizeof(float)) {
      float value;
      std::memcpy(&value, data.data() + i, sizeof(value));
      value += mean;
      std::memcpy(data.data() + i, &value, sizeof(value));
    }
    return Status();
  }

  uint64_t StreamSeed(const Piece& piece) const {
    RandomStream mix(seed_ ^ (uint64_t{piece.tensor} << 32 | piece.index));
    return mix.Next();
  }

  const SynthModel& model_;
  const uint64_t seed_;
  const PartialFile& file_;
  std::vector<Piece> pieces_;
  std::atomic<size_t> next_ = 0;
  Mutex mutex_;
  Status failure_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace

Status WriteSynthModel(const SynthModel& model, const SynthOptions& options,
                       const std::string& path) {
  PartialFile file(path);
  if (!file.is_open()) return FileError("create", file.partial_path());
  FORGE_TRY(file.Write(model.header.data(), model.header.size(), 0));
  const int n_processors = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  PieceWriter writer(model, options.seed, file);
  FORGE_TRY(writer.Run(options.n_threads > 0 ? options.n_threads : n_processors));
  return file.Keep();
}

}  // namespace forge
