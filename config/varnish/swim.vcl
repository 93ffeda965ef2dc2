# swimctl behind Varnish 6.0 or newer.
#
# Varnish ends no TLS: something in front of it does (hitch, HAProxy), and hands the client's address on with the PROXY
# protocol. Start varnishd with that listener, and with a timeout for tunnels beyond three heartbeats of 30 s (the
# default of 60 s is too close to two):
#
#   varnishd -a :6081 -a 127.0.0.1:8443,PROXY -p pipe_timeout=120 -f /etc/varnish/swim.vcl
#
# A tunnel takes one of Varnish's threads: at most thread_pools x thread_pool_max, 10,000 by default. A reload of the VCL
# leaves tunnels alone.

vcl 4.1;

backend swim {
    .host = "127.0.0.1";
    .port = "8090";
    .connect_timeout = 5s;
}

backend pages {
    .host = "127.0.0.1";
    .port = "8080";
}

sub vcl_recv {
    # Varnish has appended the client's address to X-Forwarded-For. What the client wrote there itself goes, so that
    # nobody can pretend to come from elsewhere.
    set req.http.X-Forwarded-For = client.ip;
    unset req.http.Forwarded;

    # The three WebSocket paths, and plain HTTP beside them. "/" stays a page of the site unless a WebSocket asks for it.
    if (req.url ~ "^/((api/swim/v1|ws/swim/v1)(/[^?]*)?|healthz|readyz)(\?|$)") {
        set req.backend_hint = swim;
        # Streamed answers (Server-Sent Events) go out as they come: not through Varnish's buffers.
        if (req.http.Upgrade ~ "(?i)^websocket$" || req.url ~ "^/api/swim/v1/stream") {
            return (pipe);
        }
        return (pass);
    }
    if (req.url ~ "^/(\?|$)" && req.http.Upgrade ~ "(?i)^websocket$") {
        set req.backend_hint = swim;
        return (pipe);
    }
    set req.backend_hint = pages;
}

sub vcl_pipe {
    if (req.http.Upgrade) {
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = req.http.Connection;
    } else {
        set bereq.http.Connection = "close";
    }
}

# While the service is away: 503, which clients take as "come back later". WebSockets are piped, and Varnish closes a
# pipe that leads nowhere without an answer.
sub vcl_backend_error {
    set beresp.http.Retry-After = "1";
    set beresp.http.Content-Type = "application/json";
    synthetic({"{"code": "UNAVAILABLE", "message": "The service does not answer; try again." }"});
    return (deliver);
}
