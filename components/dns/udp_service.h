#pragma once
// Answers datagrams: reads and sends them by the batch (recvmmsg, sendmmsg), and answers from the address
// that was asked.

#include <sys/socket.h>

#include <boost/asio/ip/udp.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "dns/listeners.h"
#include "dns/responder.h"

namespace rusternetes::dns {

class UdpService {
 public:
  UdpService(asio::any_io_executor executor, Responder& responder, ListenSockets::Pair& sockets);
  ~UdpService();
  // Until it is cancelled.
  Task<> run();

 private:
  // Whom an answer goes to, and from where.
  struct Peer {
    sockaddr_storage name{};
    socklen_t size = 0;
    alignas(cmsghdr) char control[64]{};
    std::size_t control_size = 0;
  };
  struct Batch;
  int receive();
  void answer(int count);
  void send(int count);
  void send_one(const std::string& answer, Peer& peer);

  Responder& responder_;
  std::shared_ptr<asio::ip::udp::socket> socket_;
  std::unique_ptr<Batch> batch_;
};

}  // namespace rusternetes::dns
