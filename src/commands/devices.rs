//! `devices`: serial ports that the system lists.
use anyhow::Context;
use serde_json::json;
use serialport::SerialPortType;

use crate::{
    cli::DevicesArgs,
    exit::{Exit, Failure},
};

pub(super) fn list(args: &DevicesArgs) -> Result<Exit, Failure> {
    let mut ports = serialport::available_ports().context("the serial ports cannot be listed")?;
    ports.sort_by(|a, b| a.port_name.cmp(&b.port_name));
    if args.json {
        let ports = ports.iter().map(|port| json!({ "path": port.port_name, "what": describe(&port.port_type) }));
        super::print_json(&ports.collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    if ports.is_empty() {
        super::print("no serial port found; a path can be given all the same: --set board.port=/dev/...\n")?;
    }
    for port in &ports {
        super::print(&format!("{:<24} {}\n", port.port_name, describe(&port.port_type)))?;
    }
    Ok(Exit::Ok)
}

fn describe(kind: &SerialPortType) -> String {
    match kind {
        SerialPortType::UsbPort(usb) => {
            let name = usb.product.clone().or_else(|| usb.manufacturer.clone()).unwrap_or_default();
            format!("USB {:04x}:{:04x} {name}", usb.vid, usb.pid).trim_end().to_owned()
        }
        SerialPortType::PciPort => "PCI".into(),
        SerialPortType::BluetoothPort => "Bluetooth".into(),
        SerialPortType::Unknown => "serial port".into(),
    }
}
