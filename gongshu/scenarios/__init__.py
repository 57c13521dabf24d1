"""One scenario, one application, one approval (一场景一申请一审批), which becomes an entitlement."""
