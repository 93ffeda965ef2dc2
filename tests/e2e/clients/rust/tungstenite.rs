//! tungstenite. Prints one JSON object a line; arguments: URL SUBSCRIBE BUSY_SECONDS.
use std::{env, thread, time::Duration};
use tungstenite::{connect, Message};

fn main() {
    let words: Vec<String> = env::args().collect();
    let busy = Duration::from_secs_f64(words[3].parse().unwrap());
    let (mut socket, _) = match connect(&words[1]) {
        Ok(connected) => connected,
        Err(error) => return println!("{{\"error\":{:?}}}", error.to_string()),
    };
    println!("{{\"open\":true}}");
    socket.send(Message::Text(words[2].clone())).unwrap();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                println!("{{\"message\":{text}}}");
                let head = text.get(..500).unwrap_or(&text);
                if head.contains("\"do\":\"busy\"") {
                    thread::sleep(busy);
                } else if head.contains("\"do\":\"flood\"") {
                    if let Err(error) = socket.send(Message::Text("x".repeat(1_100_000))) {
                        println!("{{\"error\":{:?}}}", error.to_string());
                    }
                } else if head.contains("\"do\":\"bye\"") {
                    socket.close(None).unwrap();
                }
            }
            Ok(Message::Close(Some(frame))) => {
                println!("{{\"close\":{},\"reason\":{:?}}}", u16::from(frame.code), frame.reason)
            }
            Ok(_) => {}
            Err(error) => return println!("{{\"error\":{:?}}}", error.to_string()),
        }
    }
}
