//! Tests of the data directory and its file.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use auth_service_records::{
    clock::Clock,
    error::{Error, Outage},
};
use redb::{Database, TableDefinition};

use super::scene::{POLICY, Scene, id, user};
use crate::{
    embedded::{failure::Failure, store::Embedded, sweep::Sweep, tables::Tables},
    open_error::OpenError,
};

fn open(directory: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(directory, POLICY, Clock::new())
}

fn refusal(directory: &Path) -> String {
    match open(directory).err() {
        Some(OpenError::Failed(why) | OpenError::Settings(why)) => why,
        None => panic!("it opens"),
    }
}

#[tokio::test]
async fn another_opening_is_refused_and_the_next_one_finds_everything() {
    let Scene { directory, clock, store, tag, .. } = Scene::new(POLICY);
    let path = directory.path().join("data");
    assert!(store.create_user(tag, &user()).await.unwrap());
    assert!(refusal(&path).contains("held by another process"));
    drop(store);
    let store = Embedded::open(&path, POLICY, clock).unwrap();
    assert_eq!(store.find_user(tag).unwrap().unwrap().user.email, user().email);
    assert!(Embedded::is_in(&path) && !Embedded::is_in(directory.path()));
    assert_eq!(store.inspect().unwrap().len(), 4);
}

#[test]
fn a_directory_is_private() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    drop(open(&directory).unwrap());
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o710)).unwrap();
    assert!(refusal(&directory).contains("chmod 700"));
}

#[test]
fn a_file_of_a_later_or_an_unknown_format_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let write = |table: &str, format: u64| {
        let database = Database::create(parent.path().join("store.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(TableDefinition::<&str, u64>::new(table)).unwrap().insert("version", format).unwrap();
        transaction.commit().unwrap();
    };
    write("something", 1);
    assert!(refusal(parent.path()).contains("no released version of auth-service wrote the file"));
    write("format", 2);
    assert!(refusal(parent.path()).contains("a later version"));
    write("format", 1);
    drop(open(parent.path()).unwrap());
}

#[tokio::test]
async fn ended_entries_are_swept() {
    let scene = Scene::new(POLICY);
    scene.sign_in().await;
    let sweep = |tables: &mut Tables<'_>, now| Ok(Sweep::default().run(tables, now)?);
    assert!(scene.store.write(sweep).await.unwrap());
    scene.at(61_000);
    assert!(scene.store.write(sweep).await.unwrap());
    assert_eq!(scene.row_counts(), [1, 0, 1]);
    scene.at(121_000);
    assert!(!scene.store.write(sweep).await.unwrap());
    assert_eq!(scene.row_counts(), [0, 0, 0]);
    assert_eq!(scene.find().user.email, user().email);
}

#[tokio::test]
async fn a_sweep_goes_on_where_the_last_one_stopped() {
    let scene = Scene::new(POLICY);
    let left = scene
        .store
        .write(|tables, now| {
            for n in 0..2_500_u64 {
                let expiry = if n % 2 == 0 { now } else { now + 60_000 };
                for table in tables.expiring() {
                    table.insert(format!("{n:05}").as_str(), (expiry, b"{}".as_slice()))?;
                }
            }
            let mut sweep = Sweep::default();
            let mut left = Vec::new();
            for _ in 0..2 {
                assert!(sweep.run(tables, now)?);
                for table in tables.expiring() {
                    left.push(redb::ReadableTableMetadata::len(table)?);
                }
            }
            Ok(left)
        })
        .await
        .unwrap();
    assert_eq!(left, [[1_500; 5], [1_250; 5]].concat());
}

#[tokio::test]
async fn an_operation_that_is_refused_leaves_its_group_alone() {
    let scene = Scene::new(POLICY);
    let user = user();
    let (first, second) = (id(), id());
    let refused = scene.store.write(|_, _| Err::<(), _>(Failure::Refused(Error::Unavailable(Outage::NewerVersion))));
    let (one, refused, other) =
        tokio::join!(scene.store.create_user(first, &user), refused, scene.store.create_user(second, &user));
    assert!(one.unwrap() && other.unwrap());
    assert!(matches!(refused, Err(Error::Unavailable(Outage::NewerVersion))));
    assert!(scene.store.find_user(first).unwrap().is_some() && scene.store.find_user(second).unwrap().is_some());
}
