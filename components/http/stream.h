#pragma once
// A ByteStream over a Transport: what is left of an HTTP/1.1 connection after 101. Internal to this folder.

#include <memory>
#include <string>

#include "http/message.h"
#include "http/transport.h"

namespace rusternetes::http {

// `already_read` comes first. `keep` lives as long as the stream (the connection's book-keeping).
std::unique_ptr<ByteStream> make_stream(std::shared_ptr<Transport> transport, std::string already_read,
                                        std::chrono::milliseconds write_timeout, std::shared_ptr<void> keep);

}  // namespace rusternetes::http
