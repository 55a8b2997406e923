//! The resource servers, in a setting or in a file.

use auth_service_records::resource_servers::ResourceServers;

use super::reader::Reader;

const NAME: &str = "RESOURCE_SERVERS";

/// The resource servers in `RESOURCE_SERVERS` or in the file that `RESOURCE_SERVERS_FILE` names.
pub(super) fn resource_servers(reader: &mut Reader<'_>) -> ResourceServers {
    let Ok(text) = reader.secret(NAME) else { return ResourceServers::default() };
    ResourceServers::parse(&text.unwrap_or_default()).unwrap_or_else(|errors| {
        for error in errors {
            reader.problem(NAME, &format!("is wrong: {error}"));
        }
        ResourceServers::default()
    })
}
