#include "rhino/range_wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpc/slice.h>

#include <algorithm>

namespace rusternetes::rhino {
namespace {

using Coded = google::protobuf::io::CodedOutputStream;
using Kv = mvccpb::KeyValue;
using Range = etcdserverpb::RangeResponse;

// One buffer after the other doubles, from a page of the smallest answers to what is worth sending at once.
constexpr std::size_t first_buffer_bytes = 2048, largest_buffer_bytes = 256 << 10;

std::size_t tagged_size(std::size_t bytes) { return 1 + Coded::VarintSize64(bytes) + bytes; }
std::size_t number_size(std::int64_t value) {
  return value ? 1 + Coded::VarintSize64(static_cast<std::uint64_t>(value)) : 0;
}

// https://protobuf.dev/programming-guides/encoding/: a field's number and how its value is written.
std::uint8_t* write_length(std::uint32_t field, std::size_t length, std::uint8_t* to) {
  return Coded::WriteVarint64ToArray(length, Coded::WriteTagToArray(field << 3 | 2, to));
}
std::uint8_t* write_bytes(std::uint32_t field, std::string_view bytes, std::uint8_t* to) {
  to = write_length(field, bytes.size(), to);
  return std::copy(bytes.begin(), bytes.end(), to);
}
std::uint8_t* write_number(std::uint32_t field, std::int64_t value, std::uint8_t* to) {
  if (value == 0) return to;
  return Coded::WriteVarint64ToArray(static_cast<std::uint64_t>(value),
                                     Coded::WriteTagToArray(field << 3, to));
}

std::size_t body_size(const storage::KeyValue& kv, std::string_view value) {
  return (kv.key.empty() ? 0 : tagged_size(kv.key.size())) + number_size(kv.create_revision) +
         number_size(kv.mod_revision) + number_size(kv.version) +
         (value.empty() ? 0 : tagged_size(value.size())) + number_size(kv.lease);
}

grpc::Slice slice_of(const google::protobuf::MessageLite& message) {
  grpc::Slice slice(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(const_cast<std::uint8_t*>(slice.begin()));
  return slice;
}

}  // namespace

std::uint8_t* RangeWire::reserve(std::size_t bytes, Piece& piece) {
  if (buffers_.empty() || buffers_.back().size() - used_ < bytes) {
    const std::size_t next = buffers_.empty() ? first_buffer_bytes : buffers_.back().size() * 2;
    buffers_.emplace_back(std::max(bytes, std::min(next, largest_buffer_bytes)));
    used_ = 0;
  }
  piece = {static_cast<std::uint32_t>(buffers_.size() - 1), static_cast<std::uint32_t>(used_),
           static_cast<std::uint32_t>(bytes)};
  used_ += bytes;
  return const_cast<std::uint8_t*>(buffers_.back().begin()) + piece.begin;
}

void RangeWire::add(std::size_t place, const storage::KeyValue& kv, std::string_view value) {
  if (pieces_.size() <= place) pieces_.resize(std::max(place + 1, pieces_.size() * 2));
  const std::size_t body = body_size(kv, value);
  std::uint8_t* to = reserve(tagged_size(body), pieces_[place]);
  to = write_length(Range::kKvsFieldNumber, body, to);
  if (!kv.key.empty()) to = write_bytes(Kv::kKeyFieldNumber, kv.key, to);
  to = write_number(Kv::kCreateRevisionFieldNumber, kv.create_revision, to);
  to = write_number(Kv::kModRevisionFieldNumber, kv.mod_revision, to);
  to = write_number(Kv::kVersionFieldNumber, kv.version, to);
  if (!value.empty()) to = write_bytes(Kv::kValueFieldNumber, value, to);
  write_number(Kv::kLeaseFieldNumber, kv.lease, to);
}

grpc::ByteBuffer RangeWire::finish(const etcdserverpb::ResponseHeader& header,
                                   const storage::RangeResponse& answer) {
  pieces_.resize(answer.kvs.size());
  for (std::size_t i = 0; i < pieces_.size(); ++i)
    if (pieces_[i].length == 0) add(i, answer.kvs[i], {});

  Range rest;
  *rest.mutable_header() = header;
  std::vector<grpc::Slice> slices;
  slices.push_back(slice_of(rest));
  for (std::size_t i = 0; i < pieces_.size();) {
    const Piece first = pieces_[i];
    std::size_t end = first.begin + first.length;
    // What lies behind each other is sent as one.
    for (++i; i < pieces_.size() && pieces_[i].buffer == first.buffer && pieces_[i].begin == end; ++i)
      end += pieces_[i].length;
    slices.push_back(buffers_[first.buffer].sub(first.begin, end));
  }
  rest.Clear();
  rest.set_more(answer.more);
  rest.set_count(answer.count);
  slices.push_back(slice_of(rest));
  return {slices.data(), slices.size()};
}

}  // namespace rusternetes::rhino
