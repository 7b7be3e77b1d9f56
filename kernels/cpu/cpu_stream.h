#pragma once

#include "kernels/api/stream.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/product_order.h"
#include "kernels/cpu/thread_pool.h"

namespace forge {

// Names the threads and the instruction set that ops of the CPU device run with. Ops run before
// their function returns, so there is never anything to wait for.
// Lifetime: the pool must outlive the stream.
class CpuStream final : public Stream {
 public:
  // REQUIRES: this processor has `level`.
  CpuStream(ThreadPool& pool, CpuLevel level) : pool_(pool), level_(level) {}

  ThreadPool& pool() const { return pool_; }
  CpuLevel level() const { return level_; }
  ProductOrder& product_order() { return product_order_; }
  Status Synchronize() override { return Status(); }

 private:
  ThreadPool& pool_;
  const CpuLevel level_;
  ProductOrder product_order_;
};

// REQUIRES: `stream` was created by the CPU device.
inline CpuStream& AsCpu(Stream& stream) { return static_cast<CpuStream&>(stream); }

}  // namespace forge
