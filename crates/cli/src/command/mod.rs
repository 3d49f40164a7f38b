//! One file a command.

mod files;
mod migrate;
mod results;
mod run;
mod schema;
mod status;
mod validate;

use crate::args::{Args, Command};
use crate::exit::Exit;
use crate::settings::Settings;

/// Calls the command.
pub(crate) async fn call(args: Args) -> Result<Exit, Exit> {
    if let Command::Schema = args.command {
        return schema::call();
    }
    let settings = Settings::load(&args.common)?;
    match args.command {
        Command::Run(run) => Box::pin(run::call(&settings, &run)).await,
        Command::Validate { suite } => validate::call(&settings, &suite),
        Command::Schema => schema::call(),
        Command::Status { run, files } => status::call(&settings, run, &files).await,
        Command::Results { run } => results::call(&settings, run).await,
        Command::Migrate => migrate::call(&settings).await,
    }
}
