#pragma once
// The server in a Pod that loads meet: it does as little as a server can.

namespace rusternetes::bench {

// Serves until it is killed; returns only if a port cannot be had. On `http_port` each request gets the same
// small answer, on connections that stay open. On `stream_port` a connection begins with a letter:
//   E                   what comes is sent back
//   U and eight bytes   so many bytes (little endian) are read, then their number is sent back as it came
//   D and eight bytes   so many bytes are sent
int serve(int http_port, int stream_port);

}  // namespace rusternetes::bench
