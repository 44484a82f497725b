//! Mails.

use highwater::job::channel::{self, Kind};
use highwater::job::delivery::Told;

use super::peer::{Manner, Peer};
use super::site::{settings, site};

#[tokio::test]
async fn a_mail_is_sent_until_the_server_takes_it_under_one_message_id() {
    let mut site = site().await;
    let peer = Peer::smtp().await;
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "sesame\n").unwrap();
    let mut wanted = settings(&format!("smtp+plain://127.0.0.1:{}", peer.port));
    wanted.sender = Some("highwater@acme.example".to_owned());
    wanted.recipients = vec!["ann@acme.example".to_owned(), "bob@acme.example".to_owned()];
    wanted.username = Some("hw".to_owned());
    wanted.secret = Some(format!("file:{}", password.display()));
    channel::add(&site.session, None, "mail", Kind::Smtp, &wanted).await.unwrap();
    peer.will(&[Manner::Say("451 try again later"), Manner::Hang]);
    site.backup("failed").await;
    for _ in 0..2 {
        assert_eq!(site.pass().await, Told { delivered: 0, refused: 1, given_up: 0 });
        site.later().await;
    }
    assert_eq!(site.pass().await, Told { delivered: 1, refused: 0, given_up: 0 });
    site.later().await;
    assert_eq!(site.pass().await, Told::default());
    let heard = peer.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|one| one.headers["message-id"] == heard[0].headers["message-id"]), "{heard:?}");
    let mail = &heard[2];
    assert!(mail.headers["message-id"].ends_with("@acme.example>"), "{mail:?}");
    assert_eq!(mail.headers["subject"], "[highwater] critical: backup of home on laptop failed: disk full");
    assert_eq!(mail.headers["to"], "ann@acme.example, bob@acme.example");
    assert!(
        mail.body.contains("group:        home\n") && mail.body.contains("kind:         failed, critical\n"),
        "{mail:?}"
    );
    let commands = peer.commands();
    let count = |words: &str| commands.iter().filter(|one| one.starts_with(words)).count();
    // Base64 of NUL hw NUL sesame.
    assert_eq!(
        (count("AUTH PLAIN AGh3AHNlc2FtZQ=="), count("RCPT TO:<ann@"), count("RCPT TO:<bob@")),
        (3, 3, 3),
        "{commands:?}"
    );
    // A password that cannot be read is named by its place.
    std::fs::remove_file(&password).unwrap();
    site.backup("warned").await;
    assert_eq!(site.pass().await.refused, 1);
    let channel = channel::find(&site.session, "mail", None).await.unwrap();
    let said = channel.last_error.unwrap();
    assert!(said.contains(&password.display().to_string()) && !said.contains("sesame"), "{said}");
}

#[tokio::test]
async fn a_server_without_tls_gets_no_mail_that_asks_for_it() {
    let mut site = site().await;
    let peer = Peer::smtp().await;
    let mut wanted = settings(&format!("smtp://127.0.0.1:{}", peer.port));
    wanted.sender = Some("highwater@acme.example".to_owned());
    wanted.recipients = vec!["ann@acme.example".to_owned()];
    channel::add(&site.session, None, "mail", Kind::Smtp, &wanted).await.unwrap();
    site.backup("failed").await;
    assert_eq!(site.pass().await.refused, 1);
    assert!(peer.heard().is_empty() && !peer.commands().iter().any(|one| one.starts_with("MAIL")));
}
