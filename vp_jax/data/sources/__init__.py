"""Where clips come from: VPData, folders, tables of files, stored records."""
