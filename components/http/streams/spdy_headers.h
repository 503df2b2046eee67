#pragma once
// Header blocks of SPDY/3 (draft 3, section 2.6.10): counted names and values through one zlib stream a
// direction, which begins with a dictionary that both ends know. Without I/O.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"

namespace rusternetes::http {

// 1,423 bytes, Adler-32 e3c6a7c2.
std::string_view spdy_dictionary();

class SpdyHeaderEncoder {
 public:
  SpdyHeaderEncoder();
  ~SpdyHeaderEncoder();
  void encode(std::string& out, const Headers& headers);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

class SpdyHeaderDecoder {
 public:
  SpdyHeaderDecoder();
  ~SpdyHeaderDecoder();
  // One block, whole. After an error (broken compression, more than 4 KiB or 64 fields) the connection is
  // unusable, since later blocks build on this one.
  Result<Headers> decode(std::string_view block);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace rusternetes::http
