#pragma once
// A RangeResponse straight to the bytes that gRPC sends: each value is copied once, from the page of the
// database into a buffer of the message, in whatever order the rows lie in the file.

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "etcd/rpc.pb.h"
#include "storage/store.h"

namespace rusternetes::rhino {

class RangeWire {
 public:
  // The key at `place` of the answer. One that is added again replaces what was.
  void add(std::size_t place, const storage::KeyValue& kv, std::string_view value);
  // The message: the keys of `answer`, in its order; who was not added is sent without a value.
  grpc::ByteBuffer finish(const etcdserverpb::ResponseHeader& header, const storage::RangeResponse& answer);

 private:
  struct Piece {
    std::uint32_t buffer = 0, begin = 0, length = 0;  // 0: not added
  };
  std::uint8_t* reserve(std::size_t bytes, Piece& piece);

  std::vector<Piece> pieces_;  // by place
  std::vector<grpc::Slice> buffers_;
  std::size_t used_ = 0;  // of the last buffer
};

}  // namespace rusternetes::rhino
